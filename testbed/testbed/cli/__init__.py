"""The command line: ``testbed COMMAND``. Each command only parses, calls and prints.

Only what a command needs is imported: here no command at all (:mod:`testbed.cli.deferred`), in its
module what parses a command line, and in its function what takes time.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Final

import typer
from testbed_domain.errors import DomainError
from testbed_otel.masking import mask
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group
from typing_extensions import override

from testbed.cli.deferred import DeferredCommand
from testbed.console import errors, out
from testbed.errors import EXIT_COULD_NOT_RUN, StoppedError, UsageError

# Evidently and others would send usage data; this project never does.
os.environ.setdefault("DO_NOT_TRACK", "1")

COMMANDS: Final = {
    "run": ("run", "Play a scenario and give the verdict: exit 0 pass, 1 failed, 2 could not run."),
    "demo": ("run", "Play the demo: the same as `testbed run demo`."),
    "scenarios": (
        "scenarios",
        "List the scenarios that ship with the testbed, and which alerts they exercise.",
    ),
    "runs": (
        "runs",
        (
            "List runs, the newest first: when, what was played, what came of it, how long, and "
            "where."
        ),
    ),
    "report": ("run", "Show a run's verdict again and write its report anew."),
    "init": (
        "init",
        (
            "Look at a running service; write service.yaml and scenario.yaml, every guess with a "
            "comment."
        ),
    ),
    "compare": (
        "comparing",
        "Say what changed from one run of a scenario to another: checks, alerts, delays, losses.",
    ),
    "capacity": (
        "capacity",
        "Search the highest arrival rate that holds an objective, and draw its knee.",
    ),
    "overhead": (
        "overhead",
        "Measure what telemetry costs: the same load with it and without it, in turns.",
    ),
    "selftest": (
        "selftest",
        "Plant defects one at a time and demand that the verdict finds and names each.",
    ),
    "up": ("live", "Start the whole stack and leave it running until Ctrl-C."),
    "status": (
        "live",
        "Show the stacks that run now, their components and URLs. Exit 1 when there is none.",
    ),
    "logs": ("live", "Print the log of a component."),
    "down": ("live", "Stop running stacks from another terminal, and wait until they are gone."),
    "train": ("components", "Train the model of a use case and export it to ONNX."),
    "serve": ("components", "Start the prediction service alone, in the foreground."),
    "load": ("components", "Send traffic to a running service and say what came back."),
    "load-worker": ("loadworker", "Send a part of the load that another host plays."),
    "doctor": (
        "housekeeping",
        "Say what is missing on this machine and how to get it. Exit 1 when something needed is.",
    ),
    "settings": (
        "housekeeping",
        "Print the effective settings: defaults, testbed.toml, TESTBED_*, and OTEL_* passed on.",
    ),
    "trust": (
        "housekeeping",
        "Trust the commands that testbed.toml of the working directory names, as it is now.",
    ),
    "clean": (
        "housekeeping",
        "Remove old runs, and on demand old models and compiled tools; never what is in use.",
    ),
    "drift": (
        "drift",
        (
            "Run the Evidently drift job, once or periodically. Exit codes of `run`: 0 NO_ACTION, "
            "1 ALERT or RETRAIN, 2 could not run."
        ),
    ),
    "keys": ("keys", "API keys of the prediction service."),
    "log": ("log", "The prediction log: what it holds, export, pruning."),
    "rules": ("rules", "Alerting and recording rules of your own."),
    "stack": (
        "tools",
        "The Collector, Prometheus, Alertmanager and node_exporter: fetched or compiled, pinned.",
    ),
}
"""Name of a command: the module here that adds it, and the first paragraph of its help."""


class _Commands(TyperGroup):
    """Has the commands, and ends them as this project does, not with 1 or without a word."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - whatever Typer's has
        super().__init__(**attributes)
        for name, (module, text) in COMMANDS.items():
            self.add_command(DeferredCommand(name, f"{__name__}.{module}", text, _check_settings))

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
        from testbed.settings import load_settings

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
        from testbed.machine import own_version

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


def command_tree() -> TyperGroup:
    """All commands, each imported: for what reads them, as the documentation does."""
    tree = get_group(app)
    for name, command in tree.commands.items():
        assert isinstance(command, DeferredCommand)  # noqa: S101 - there are no others
        tree.commands[name] = command.command
    return tree


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
