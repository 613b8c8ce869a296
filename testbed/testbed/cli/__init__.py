"""The command line: ``testbed COMMAND``. Each command only parses, calls and prints."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from testbed_domain.errors import DomainError
from testbed_otel.masking import mask
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from testbed.cli import (
    capacity,
    comparing,
    components,
    drift,
    housekeeping,
    init,
    keys,
    live,
    log,
    overhead,
    rules,
    run,
    scenarios,
    selftest,
    tools,
)
from testbed.console import errors, out
from testbed.errors import EXIT_COULD_NOT_RUN, StoppedError, UsageError
from testbed.machine import own_version
from testbed.settings import load_settings

# Evidently and others would send usage data; this project never does.
os.environ.setdefault("DO_NOT_TRACK", "1")


class _Commands(TyperGroup):
    """Ends commands as this project does, where Typer would leave with 1 or without a word."""

    @override
    def invoke(self, ctx: Any) -> Any:
        """Run the command; see the class."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):
            raise StoppedError("interrupted") from None
        except EOFError:
            raise UsageError(
                "the command asks a question, and its input is not a terminal; see --help"
            ) from None


class _Command(TyperCommand):
    """Does nothing in a folder whose ``testbed.toml`` would not count."""

    @override
    def invoke(self, ctx: Any) -> Any:
        """Run the command; see the class."""
        load_settings()
        return super().invoke(ctx)


def _check_settings(commands: typer.Typer) -> None:
    """Have every command see that the settings can be read, its own need of them or not.

    But for ``trust``, whose file is one that is still refused.
    """
    for command in commands.registered_commands:
        if command.name != "trust":
            command.cls = _Command
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _check_settings(group.typer_instance)


app = typer.Typer(
    cls=_Commands,
    name="testbed",
    help="Proves that the monitoring of an ML API works: plays traffic, drift and faults against a "
    "really instrumented service and gives a verdict on the alerts.",
    epilog="Exit codes: 0 pass, 1 verdict failed, 2 could not run. Start with: testbed run demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(chosen: bool) -> None:  # noqa: FBT001 - as Typer calls it
    if chosen:
        out.print(own_version(), highlight=False)
        raise typer.Exit


@app.callback()
def _begin(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and end."
        ),
    ] = False,
) -> None:
    pass


run.register(app)
init.register(app)
comparing.register(app)
capacity.register(app)
overhead.register(app)
selftest.register(app)
live.register(app)
components.register(app)
housekeeping.register(app)
app.add_typer(drift.app, name="drift", context_settings={"obj": drift.LatestRun()})
app.add_typer(keys.app, name="keys")
app.add_typer(log.app, name="log")
app.add_typer(rules.app, name="rules")
app.add_typer(scenarios.app, name="scenarios")
app.add_typer(tools.app, name="stack")
_check_settings(app)


def main() -> int:
    """Run the command line; expected errors print one line and keep their exit code.

    Raises:
        SystemExit: the command's own ending, usage errors included.
    """
    try:
        app()
    except DomainError as error:
        errors.print(f"testbed: {mask(error)}", markup=False, style="red")
    return EXIT_COULD_NOT_RUN
