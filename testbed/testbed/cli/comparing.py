"""``testbed compare``: two runs of a scenario, held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from testbed_domain.files import write_atomic

from testbed.cli import completion
from testbed.cli.live import find_run
from testbed.console import out
from testbed.errors import EXIT_VERDICT_FAILED
from testbed.settings import TOLERANCE, load_settings

RUN_HELP = "Run id or folder."


def compare_runs(
    before: Annotated[
        str, typer.Argument(metavar="BEFORE", help=RUN_HELP, autocompletion=completion.run_ids)
    ],
    after: Annotated[
        str, typer.Argument(metavar="AFTER", help=RUN_HELP, autocompletion=completion.run_ids)
    ],
    *,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="Exit 1 where something became worse.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Ratio by which delays and latency may be worse.")
    ] = TOLERANCE,
    json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page, too.")] = None,
) -> None:
    """Say what changed from one run of a scenario to another: checks, alerts, delays, losses.

    Examples:

      testbed compare 20260101T120000-demo-seed1 20260102T120000-demo-seed1

      testbed compare main-run my-run --fail-on-regression --html difference.html
    """
    from testbed.comparison import compare
    from testbed.report.comparing import comparison_page, comparison_table
    from testbed.verdict import read_verdict

    settings = load_settings()
    one, other = (read_verdict(find_run(settings, name)) for name in (before, after))
    found = compare(one, other, tolerance)
    if html is not None:
        write_atomic(html, comparison_page(found))
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        out.print(comparison_table(found), highlight=False)
    if fail_on_regression and found.regressions:
        raise typer.Exit(EXIT_VERDICT_FAILED)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare_runs)
