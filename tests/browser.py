"""Pages in a real browser, and text that runs as a script wherever it is not escaped."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_RUN: Final = "document.documentElement.setAttribute('data-ran', '1')"
# Ends what it stands in: a script, a title, an attribute, a text, a string of JavaScript.
HOSTILE: Final = (
    f"</script><script>{_RUN}</script>",
    f"</title></style></textarea></noscript><script>{_RUN}</script>",
    f'"\'><img src=x onerror="{_RUN}">',
    f'<svg onload="{_RUN}"></svg><!--<script>',
    f"';{_RUN};//\\\";{_RUN};//",
    f'<a href="javascript:{_RUN}" autofocus onfocus="{_RUN}">a</a>',
)
EVERYTHING: Final = "".join(HOSTILE)
_ROOT: Final = re.compile(r"<html\b[^>]*\bdata-ran=")


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it stands after its scripts ran.

    Attributes:
        dom: the document, serialized.
    """

    dom: str

    @property
    def attacked(self) -> bool:
        """Whether a hostile text ran as a script."""
        return _ROOT.search(self.dom) is not None


def visit(
    browser: str,
    url: str,
    profile: Path,
    milliseconds: int = 5000,
    options: Sequence[str] = (),
) -> Page:
    """Open a page and let its scripts run.

    Args:
        browser: path of a Chromium.
        url: of the page.
        profile: folder for the browser's files.
        milliseconds: of the page's own time that its scripts get.
        options: further ones of the browser.
    """
    usual = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
    budget = f"--virtual-time-budget={milliseconds}"
    done = subprocess.run(
        [browser, *usual, *options, budget, f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    return Page(done.stdout)


def width_needed(browser: str, page: Path, folder: Path, width: int) -> int:
    """How wide a page is where it gets so many pixels: more, and its reader has to scroll sideways.

    Args:
        browser: path of a Chromium.
        page: file of the page.
        folder: is made; gets the browser's files, and a page with this one in a frame, for windows
            are never narrower than 500 pixels.
        width: in pixels.
    """
    folder.mkdir()
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe src="{page.as_uri()}" style="border: 0; width: {width}px"></iframe>'
        "<script>addEventListener('load', () => setTimeout(() => {"
        "document.title = `needs ${frames[0].document.documentElement.scrollWidth} pixels`;"
        "}, 1000))</script>",
        encoding="utf-8",
    )
    options = ["--allow-file-access-from-files"]
    found = visit(browser, frame.as_uri(), folder / "profile", options=options)
    needed = re.search(r"<title>needs (\d+) pixels</title>", found.dom)
    assert needed, "the page did not load"
    return int(needed[1])
