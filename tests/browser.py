"""Pages in a real browser, and text that runs as a script wherever it is not escaped."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import websocket

from tests.support.polling import wait_for
from tests.support.processes import end

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


OPTIONS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")


class Tab:
    """A tab of a browser that lives on, asked by the DevTools protocol.

    Args:
        url: of its WebSocket.
    """

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=60, suppress_origin=True)
        self._numbers = itertools.count(1)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - the protocol's own
        """Call a method of the protocol; its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def open(self, url: str) -> None:
        """Open a page and wait until it is there."""
        self.call("Page.navigate", url=url)
        wait_for(lambda: self.ask("document.readyState") == "complete", 60, f"{url} is not there")

    def ask(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    @property
    def text(self) -> str:
        """What a person reads."""
        return str(self.ask("document.body ? document.body.innerText : ''"))

    def look(self, width: int, height: int = 800, *, dark: bool = False) -> None:
        """Have the window of that size, and the colours that the system's owner prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def browsing(browser: str, profile: Path) -> Iterator[Tab]:
    """A tab of a browser, which ends with the block.

    Args:
        browser: path of a Chromium.
        profile: folder for the browser's files.
    """
    command = [browser, *OPTIONS, "--hide-scrollbars", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.DEVNULL
    )
    try:
        port_file = profile / "DevToolsActivePort"
        wait_for(lambda: port_file.exists() and "\n" in port_file.read_text(), 60, "no browser")
        listed = f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}/json"
        pages = [each for each in httpx.get(listed).json() if each["type"] == "page"]
        with contextlib.closing(Tab(pages[0]["webSocketDebuggerUrl"])) as tab:
            yield tab
    finally:
        end(process, kill=True)


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
    budget = f"--virtual-time-budget={milliseconds}"
    done = subprocess.run(
        [browser, *OPTIONS, *options, budget, f"--user-data-dir={profile}", "--dump-dom", url],
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
