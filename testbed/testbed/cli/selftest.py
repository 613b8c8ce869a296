"""``testbed selftest``: plant defects and see whether the verdict finds and names them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed.console import interruptible, out, say
from testbed.errors import EXIT_PASS, EXIT_VERDICT_FAILED
from testbed.wordtable import WordTable

if TYPE_CHECKING:
    from testbed.selftest.defect import Defect
    from testbed.selftest.results import Result


def selftest(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="A kind or a single defect; may be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Runs at a time.")] = 2,
    listed: Annotated[bool, typer.Option("--list", help="Say which defects there are.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the runs; default: one that is removed again."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the results.")] = None,
) -> None:
    """Plant defects one at a time and demand that the verdict finds and names each.

    Each defect is planted in a run of its own, never in the checkout: in its configuration, in the
    process of a component, or in its load. The verdict must fail (exit 1) and must name the broken
    link first. Exit 0: all were found, and 95 % with the right link; 1: not so; 2: could not run.

    Examples:

      testbed selftest --list

      testbed selftest --only rules --jobs 1

      testbed selftest --only metrics-latency-constant --out ./look
    """
    from testbed.selftest.catalogue import chosen
    from testbed.selftest.play import play_all
    from testbed.selftest.results import passed, summary, write_results

    defects = chosen(only or ())
    if listed:
        out.print(_catalogue(defects))
        return
    say(f"self-test: {len(defects)} defects, {jobs} at a time, about {_minutes(defects, jobs)} min")
    with interruptible(), tempfile.TemporaryDirectory(prefix="testbed-selftest-") as temporary:
        results = play_all(defects, folder or Path(temporary), jobs, _report)
    if json_file is not None:
        write_results(json_file, results)
    out.print(_table(results))
    out.print(summary(results))
    raise typer.Exit(EXIT_PASS if passed(results) else EXIT_VERDICT_FAILED)


def _minutes(defects: tuple[Defect, ...], jobs: int) -> int:
    return max(1, round(len(defects) * 50 / 60 / jobs))


def _report(result: Result) -> None:
    what = "found" if result.named else "blamed another" if result.found else "NOT FOUND"
    say(f"{what}: {result.defect} ({result.seconds:.0f} s) {result.culprit or ''} {result.lead}")


def _catalogue(defects: tuple[Defect, ...]) -> WordTable:
    from testbed.selftest.catalogue import kind_of

    table = WordTable("kind", "defect", "scenario", "link", "what")
    for defect in defects:
        links = " or ".join(map(str, defect.culprits))
        table.add_row(kind_of(defect), defect.name, defect.scenario, links, defect.what)
    return table


def _table(results: tuple[Result, ...]) -> WordTable:
    table = WordTable("defect", "found", "link named first", "expected", "leading check")
    for result in results:
        found = "yes" if result.found else f"no, exit {result.exit_code}"
        expected = " or ".join(result.expected)
        table.add_row(result.defect, found, result.culprit or "-", expected, result.lead)
    return table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(selftest)
