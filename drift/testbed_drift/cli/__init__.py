"""The commands of the drift job, alone (``python -m testbed_drift``) or below ``testbed drift``.

Only what parses a command line is imported here: ``--help`` and a wrong option need not wait for
what takes seconds, and a signal is already obeyed while that is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from testbed_drift.cli import jobs, references, services, thresholds
from testbed_drift.cli.ending import exit_code_of

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    help="Run the Evidently drift job, once or periodically. Exit codes of `run`: 0 NO_ACTION, "
    "1 ALERT or RETRAIN, 2 could not run.",
    epilog="Every setting of the job can also be given as TESTBED_DRIFT_<OPTION>; telemetry by the "
    "OTEL_* variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
jobs.register(app)
thresholds.register(app)
services.register(app)
app.add_typer(references.app, name="reference")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        argv: the words behind the program's name; None takes those of this process.
    """
    return exit_code_of(app, "python -m testbed_drift", argv)
