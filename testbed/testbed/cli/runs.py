"""``testbed runs``: what has been played, and what came of it."""

from __future__ import annotations

import json as jsonformat
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from testbed.active import active_stacks
from testbed.console import errors, out
from testbed.errors import UsageError
from testbed.runlist import RunRow, list_runs
from testbed.settings import load_settings
from testbed.wordtable import WordTable

STYLES: Final = {
    "passed": "green",
    "failed": "bold red",
    "too slow": "yellow",
    "running": "cyan",
    "no verdict": "dim",
}


def runs(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of runs; default: .testbed/runs.")
    ] = None,
    *,
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=1, help="How many, the newest first.")
    ] = 20,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of the table: all of them.")
    ] = False,
) -> None:
    """List runs, the newest first: when, what was played, what came of it, how long, and where.

    Examples:

      testbed runs

      testbed runs --json | jq -r '.[] | select(.outcome == "failed") | .path'
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of runs")
    own = load_settings().runs
    chosen = own if folder is None else folder
    rows = list_runs(chosen, {stack.run for stack in active_stacks(chosen)})
    if json:
        typer.echo(jsonformat.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        errors.print(f"there is no run in {chosen} yet; play one with: testbed run demo")
        return
    out.print(_table(rows[:lines]))
    if len(rows) > lines:
        errors.print(f"and {len(rows) - lines} older ones: -n {len(rows)}", style="dim")


def _table(rows: list[RunRow]) -> WordTable:
    table = WordTable("started (UTC)", "scenario", "outcome", ">took", "path")
    for row in rows:
        table.add_row(
            (row.started or "").partition("+")[0].replace("T", " "),
            row.scenario or "",
            Text(row.outcome, STYLES[row.outcome]),
            "" if row.seconds is None else f"{row.seconds:.0f} s",
            _shown(row.path),
        )
    return table


def _shown(path: str) -> str:
    """Relative to the working directory where it lies below."""
    whole = Path(path).resolve()
    return str(whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(runs)
