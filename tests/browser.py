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
