"""``python -m tests.stack.pictures``: the documentation's pictures of the console.

Starts a stack, plays the demo from its console, and looks at it in a real browser.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx

from tests.browser import Tab, browsing
from tests.support.commandline import HELD, CommandLine
from tests.support.polling import wait_for

IMAGES: Final = Path(__file__).parents[2] / "docs/images"
ERRORS: Final = "HighErrorRate</a>"
"""Stands among the alerts while the demo's last phase is played."""


def take(tab: Tab, console: str, folder: Path) -> None:
    """All pictures, while the demo is played."""
    for name, width, height, dark in (
        ("console", 1280, 1180, False),
        ("console-dark", 1280, 1180, True),
        ("console-narrow", 400, 1600, False),
    ):
        tab.look(width, height, dark=dark)
        tab.open(console)
        tab.picture(folder / f"{name}.png")
    tab.look(1280, 760)
    tab.open(
        f"{console}query?expr=sum by (http_response_status_code) (rate("
        'http_server_request_duration_seconds_count{http_route="/predict"}[5s]))&range=60'
    )
    tab.picture(folder / "console-query.png")


def main() -> int:
    """Make them; returns the exit code."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.stderr.write("pictures: neither chromium nor google-chrome is on PATH\n")
        return 2
    with tempfile.TemporaryDirectory() as place:
        line = CommandLine(Path(place))
        with line.start("up", "--scenario", "demo") as process:
            wait_for(lambda: HELD in line.output, 120, lambda: line.output, process)
            (run,) = (Path(place) / ".testbed/runs").iterdir()
            console = next(e for e in line.output.split() if "#token=" in e).partition("#")[0]
            form = {"token": (run / "console-token").read_text().strip(), "do": "start"}
            httpx.post(f"{console}scenario", data=form | {"name": "demo"}, timeout=60)
            wait_for(lambda: ERRORS in httpx.get(console, timeout=60).text, 180, "no error")
            with browsing(browser, Path(place) / "profile") as tab:
                take(tab, console, IMAGES)
    sys.stdout.write(f"wrote {', '.join(sorted(each.name for each in IMAGES.glob('console*')))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
