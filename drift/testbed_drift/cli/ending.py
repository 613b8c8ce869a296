"""How a command ends, and what it prints: results to standard output, all else beside it."""

from __future__ import annotations

import functools
import json
import sys
from typing import TYPE_CHECKING, Any, Final

import typer
from testbed_domain.direction import written_out
from testbed_domain.endings import guarded
from testbed_domain.errors import DomainError
from testbed_otel.masking import mask
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from testbed_otel.sdk import Telemetry

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.publishing.textfile import Textfile

EXIT_NO_ACTION: Final = 0
EXIT_ACTION: Final = 1
EXIT_COULD_NOT_RUN: Final = 2
EXIT_INTERRUPTED: Final = 130


def exit_code_of(app: typer.Typer, program: str, argv: Sequence[str] | None) -> int:
    """Run a command line and return its exit code.

    Args:
        app: its commands.
        program: what its help calls it.
        argv: the words behind the program's name; None takes those of this process.
    """
    try:
        _command(app)(argv, prog_name=program)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return EXIT_NO_ACTION


@functools.cache
def _command(app: typer.Typer) -> Callable[..., Any]:
    """What parses a command line, made once for an app."""
    return get_command(app)


def ends(command: Callable[..., int]) -> Callable[..., None]:
    """Have a command end the process with its exit code; expected errors are one line, and 2."""

    @functools.wraps(command)
    def ended(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        def expected() -> int:
            try:
                return command(**given)
            except DomainError as error:
                warn(mask(error))
            return EXIT_COULD_NOT_RUN

        raise typer.Exit(guarded(expected, "drift", EXIT_INTERRUPTED))

    return ended


def write(line: str) -> None:
    """Print a line of what was asked for."""
    print(written_out(line), flush=True)  # noqa: T201 - a command line's output


def warn(line: str) -> None:
    """Print a line about it."""
    print(f"drift: {written_out(line)}", file=sys.stderr, flush=True)  # noqa: T201 - a command line's output


def action_code(results: Iterable[RunResult]) -> int:
    """1 where any window asks for action, else 0."""
    found = [result.finding for result in results if result.finding]
    quiet = all(finding.decision.action == "NO_ACTION" for finding in found)
    return EXIT_NO_ACTION if quiet else EXIT_ACTION


def exit_code(results: Sequence[RunResult]) -> int:
    """1 where any window asks for action, 0 where none does.

    2 where none could be evaluated, or the results of one could not be stored.
    """
    if any(result.unstored for result in results):
        return EXIT_COULD_NOT_RUN
    if action_code(results):
        return EXIT_ACTION
    failed = any(result.outcome == "error" for result in results)
    evaluated = any(result.finding for result in results)
    return EXIT_COULD_NOT_RUN if failed or not evaluated else EXIT_NO_ACTION


def announce(
    result: RunResult,
    *,
    as_json: bool = False,
    group: str | None = None,
    others: Mapping[str, RunResult] | None = None,
) -> None:
    """Print what became of a run: a line, or an object with those of further versions in it."""
    mark = f"{group}: " if group else ""
    if as_json:
        record = result.record() | ({"group": group} if group else {})
        if others:
            record["versions"] = {version: one.record() for version, one in others.items()}
        write(json.dumps(record, allow_nan=False))
    elif result.finding:
        write(f"{mark}{result.message}")
    else:
        warn(f"{mark}{result.outcome}: {result.message}")
    if result.unstored:
        warn(f"{mark}{result.unstored}")
    if result.retraining:
        warn(f"retraining: {result.retraining.outcome}: {result.retraining.message}")


def finish(
    telemetry: Telemetry, textfile: Textfile | None = None, results: Sequence[RunResult] = ()
) -> None:
    """Let what was measured leave the process, and stop measuring."""
    from testbed_drift.publishing.ending import ending

    for failure in ending(telemetry, textfile, evaluated=any(one.finding for one in results)):
        warn(mask(failure))
