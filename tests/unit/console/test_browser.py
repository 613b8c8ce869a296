"""The console's script in a real browser, on a page of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from testbed.consoleapp.pages import STATIC

from tests.browser import browsing
from tests.support.polling import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser import Tab

PAGE = """<!doctype html><script src="console.js" defer></script>
<form data-token><input name="token" type="password"></form>"""
SHOWN = "document.querySelector('input')?.value + location.hash"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def _shows(tab: Tab, expected: str) -> bool:
    return bool(tab.ask(SHOWN) == expected)


def test_the_link_with_the_token_may_be_opened_where_the_console_is_open(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """The form has the token then, and the address no longer."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "console.js").write_bytes(STATIC["console.js"][0].read_bytes())
    handler = partial(_Quiet, directory=str(folder))
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        ThreadPoolExecutor() as pool,
        browsing(program("chromium", "google-chrome"), tmp_path / "profile") as tab,
    ):
        pool.submit(server.serve_forever, 0.01)
        try:
            for link, expected in (
                ("", ""),
                ("#token=first", "first"),
                ("#token=second", "second"),
            ):
                url = f"http://127.0.0.1:{server.server_port}/{link}"
                tab.call("Page.navigate", url=url)
                wait_for(partial(_shows, tab, expected), 10, f"not {expected!r}")
        finally:
            server.shutdown()
