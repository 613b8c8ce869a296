"""``python -m testbed.consoleapp``: the console of a stack, as a process."""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(lambda: import_module("testbed.consoleapp.__main__").main(), "console")

import argparse
import sys
from pathlib import Path

import uvicorn
from testbed_domain.boundedconnections import bounded
from testbed_domain.endings import EXIT_COULD_NOT_RUN
from testbed_domain.tokens import TokenError, ensure_token
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from testbed.consoleapp.app import ConsolePages, create_app
from testbed.consoleapp.control import ConsoleControl
from testbed.consoleapp.overview import Overview
from testbed.consoleapp.playing import Player
from testbed.consoleapp.runfolder import RunFolder
from testbed.layout import RunLayout

HOST = "127.0.0.1"


def main(arguments: list[str] | None = None) -> int:
    """Serve until INT or TERM; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m testbed.consoleapp",
        description="Serve the console of a stack, on this machine only.",
        epilog="Example: python -m testbed.consoleapp --run .testbed/runs/ID --runs .testbed/runs",
    )
    parser.add_argument("--run", type=Path, required=True, help="folder of the stack's run")
    parser.add_argument("--runs", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--port", type=int, default=9070, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--control",
        action="store_true",
        help="let who has the token, in console-token of the run, start and stop something",
    )
    options = parser.parse_args(arguments)
    layout, runs = RunLayout(options.run.resolve()), options.runs.resolve()
    run = RunFolder(layout)
    player = Player(run, runs) if options.control else None
    try:
        token = ensure_token(layout.console_token) if options.control else ""
    except TokenError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_COULD_NOT_RUN
    control = None if player is None else ConsoleControl(run, player)
    console = ConsolePages(run, runs, Overview(run, runs, player), control, token)
    uvicorn.run(
        create_app(console),
        host=HOST,
        port=options.port,
        log_level="warning",
        access_log=False,
        http=bounded(HttpToolsProtocol),
        ws="none",
        timeout_graceful_shutdown=1,
    )
    return 0
