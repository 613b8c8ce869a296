"""``testbed stack``: the tools of the stack."""

from __future__ import annotations

from typing import Annotated

import typer

from testbed.console import BuildProgress, errors, interruptible, out
from testbed.errors import EXIT_VERDICT_FAILED
from testbed.settings import load_settings
from testbed.wordtable import WordTable

app = typer.Typer(
    help="The Collector, Prometheus, Alertmanager and node_exporter: fetched or compiled, pinned.",
    no_args_is_help=True,
)


@app.command()
def install(
    *,
    prefer_path: Annotated[
        bool, typer.Option("--prefer-path", help="Take tools from PATH where the version fits.")
    ] = False,
) -> None:
    """Fetch what is missing, or compile it; resumes after an interruption.

    Examples:

      testbed stack install

      testbed stack install --prefer-path
    """
    from testbed.stack import build

    prefer = prefer_path or load_settings().prefer_path
    with interruptible():
        build.install(BuildProgress(), prefer_path=prefer)


@app.command()
def status() -> None:
    """Show which tools are there, at which version, and from where. Exit 1 when one is missing."""
    from testbed.stack import build

    rows = build.status()
    table = WordTable("tool", "version", "state", "path")
    for row in rows:
        state = row.source if row.present else "missing: testbed stack install"
        table.add_row(row.name, row.version, state, str(row.path) if row.path else "")
    out.print(table)
    if not all(row.present for row in rows):
        raise typer.Exit(EXIT_VERDICT_FAILED)


@app.command()
def check() -> None:
    """Check the shipped configuration with promtool, amtool and the Collector, and lint the rules.

    Exit 1 when something is wrong.
    """
    from testbed import configcheck
    from testbed.stack import build

    tools = build.install(BuildProgress(), prefer_path=load_settings().prefer_path)
    failed = False
    for result in configcheck.run_checks(tools):
        if result.passed:
            out.print(f"ok      {result.name}", highlight=False)
        else:
            failed = True
            errors.print(f"failed  {result.name}\n{result.output}", markup=False, style="red")
    if failed:
        raise typer.Exit(EXIT_VERDICT_FAILED)


def register(commands: typer.Typer) -> None:
    """Add the group."""
    commands.add_typer(app, name="stack")
