"""``testbed up``, ``status``, ``logs``, ``down``: a stack that stays."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from testbed_drift.cli.bundles import taking

from testbed.active import ActiveStack, active_stacks
from testbed.cli import completion
from testbed.cli.common import (
    OWN_DATA,
    USE_CASE_HELP,
    ReplicasOption,
)
from testbed.console import BuildProgress, errors, interruptible, out, say
from testbed.errors import StackError, UsageError
from testbed.layout import RunLayout
from testbed.owndata import OwnData
from testbed.settings import Settings, load_settings
from testbed.wordtable import WordTable

if TYPE_CHECKING:
    from testbed.stack.stack import Stack

STOP_TIMEOUT = 40.0  # seconds that a stack may need to stop: INT, TERM and KILL of every component


def find_run(settings: Settings, name: str | None, holding: str = "run.json") -> RunLayout:
    """The run of that id or folder; the latest that holds a certain file when no name is given.

    Raises:
        UsageError: there is no such run.
    """
    if name is not None and Path(name).is_dir():
        return RunLayout(Path(name).resolve())
    runs = sorted(path for path in settings.runs.glob("*") if path.is_dir())
    if name is not None:
        if settings.runs / name in runs:
            return RunLayout((settings.runs / name).resolve())
        raise UsageError(f"there is no run {name}; {_known(runs)}")
    files = [path / holding for path in runs if (path / holding).exists()]
    if not files:
        raise UsageError(f"there is no run with a {holding}; {_known(runs)}")
    return RunLayout(max(files, key=lambda path: path.stat().st_mtime).parent.resolve())


def find_stack(settings: Settings, name: str) -> Path:
    """By what the stack says what it is, of a file or of the run that started it.

    Raises:
        UsageError: there is no such run, or its stack was not started for a scenario.
    """
    from testbed.stack.composeconfiguration import STACK_FILE

    if Path(name).is_file() or Path(name).suffix == ".json":
        return Path(name)
    file = find_run(settings, name).config / STACK_FILE
    if not file.exists():
        raise UsageError(
            f"the stack of {name} was not started for a scenario, so none can be played on it: "
            "start it by testbed up --scenario NAME"
        )
    return file


def _known(runs: list[Path]) -> str:
    latest = ", ".join(path.name for path in runs[-5:])
    return f"there are {latest}" if latest else "there is none yet"


@taking(own=OWN_DATA)
def up(
    *,
    use_case: Annotated[
        str | None,
        typer.Option("--use-case", help=USE_CASE_HELP, autocompletion=completion.use_cases),
    ] = None,
    own: OwnData,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="Start it as this scenario needs it, so that the console and `testbed run "
            "SCENARIO --stack RUN` can play it.",
            autocompletion=completion.scenario_names,
        ),
    ] = None,
    service: Annotated[
        Path | None,
        typer.Option(help="File of your own service, which is started in place of the API."),
    ] = None,
    time_scale: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Divides every duration of rules and intervals; default: the scenario's, else 1.",
        ),
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Your rules, a file or a folder.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave a component out.", autocompletion=completion.optional_components),
    ] = None,
    replicas: ReplicasOption = 1,
) -> None:
    """Start the whole stack and leave it running until Ctrl-C.

    Examples:

      testbed up

      testbed up --time-scale 30    # rules and intervals 30 times faster

      testbed up --scenario demo    # to be played from the console

      testbed up --service service.yaml --scenario covariate-drift
    """
    from testbed.live import LIVE_SCENARIO, live, live_scenario
    from testbed.preparation import prepare
    from testbed.runoptions import RunOptions
    from testbed.servicefile import read_service

    settings = load_settings()
    options = RunOptions(
        use_case=use_case,
        own=own,
        time_scale=time_scale,
        rules=rules,
        without=frozenset(without or ()),
        replicas=replicas,
        guarded=False,  # whoever brings a service of their own sends to the usual ports
        target=None if service is None else read_service(service),
    )
    chosen = (
        LIVE_SCENARIO
        if scenario is None
        else live_scenario(scenario, other_service=service is not None)
    )
    with interruptible():
        prepared = prepare(chosen, options, settings, progress=BuildProgress(), say=say)

        def ready(stack: Stack) -> None:
            print_stack(stack)
            if scenario is not None:
                command = f"testbed run {scenario} --stack {prepared.run_id}"
                out.print(f"Play on it in another terminal: {command}", highlight=False)

        say("up: starting the stack")
        try:
            live(prepared, ready, None if scenario is None else settings)
        except KeyboardInterrupt:
            say("up: stopped, nothing is left running")


def print_stack(stack: Stack) -> None:
    """Print where a running stack can be seen, and how something is started there."""
    urls = stack.urls()
    if "Console" not in urls:
        print_urls(urls)
        return
    token = stack.context.layout.console_token.read_text(encoding="ascii").strip()
    print_urls(urls, f"{urls['Console']}#token={token}")


def print_urls(urls: dict[str, str], link: str | None = None) -> None:
    """Print where a running stack can be seen.

    Args:
        urls: name to URL.
        link: by which something can be started and stopped, if there is one.
    """
    table = WordTable("name", "url", header=False)
    for name, url in urls.items():
        table.add_row(name, url)
    out.print(table)
    if link is not None:
        out.print("To start and stop something from the console, open it by this link:")
        out.print(link, highlight=False)
    out.print("The stack runs until Ctrl-C, or `testbed down` in another terminal.")


def status() -> None:
    """Show the stacks that run now, their components and URLs. Exit 1 when there is none."""
    stacks = list(active_stacks(load_settings().runs))
    for stack in stacks:
        out.print(f"{stack.run} (testbed {stack.command}, pid {stack.pid})", highlight=False)
        table = WordTable("name", "where", header=False)
        for name, pid in stack.components.items():
            table.add_row(name, f"pid {pid}")
        for name, url in stack.urls.items():
            table.add_row(name, url)
        out.print(table)
    if not stacks:
        out.print("no stack is running; start one with: testbed up")
        raise typer.Exit(1)


def logs(
    component: Annotated[
        str,
        typer.Argument(
            help="Name of a component, for example api or collector.",
            autocompletion=completion.logged_components,
        ),
    ],
    run_name: Annotated[
        str | None,
        typer.Option("--run", help="Run; default: latest.", autocompletion=completion.run_ids),
    ] = None,
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many.")] = 50,
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print the log of a component.

    Examples:

      testbed logs api

      testbed logs collector -f
    """
    settings = load_settings()
    stacks = list(active_stacks(settings.runs))
    layout = find_run(settings, run_name or (stacks[-1].run if stacks else None))
    path = layout.logs / f"{component}.log"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in layout.logs.glob("*.log")))
        raise UsageError(f"there is no log of {component!r}; logs: {known or 'none yet'}")
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in deque(file, maxlen=lines):
            typer.echo(line, nl=False)
        while follow:
            if line := file.readline():
                typer.echo(line, nl=False)
            else:
                time.sleep(0.2)


def down(
    run_name: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Run id; default: all that run.",
            autocompletion=completion.active_run_ids,
        ),
    ] = None,
) -> None:
    """Stop running stacks from another terminal, and wait until they are gone."""
    runs = load_settings().runs
    stacks = [s for s in active_stacks(runs) if run_name in (None, s.run)]
    if not stacks:
        out.print("no such stack is running" if run_name else "no stack is running")
        return
    for stack in stacks:
        stack.interrupt()
    deadline = time.monotonic() + STOP_TIMEOUT
    for stack in stacks:
        _wait_gone(stack, deadline)
        out.print(f"{stack.run} stopped", highlight=False)


def _wait_gone(stack: ActiveStack, deadline: float) -> None:
    while stack.alive:
        if time.monotonic() > deadline:
            errors.print(f"{stack.run} still runs as pid {stack.pid}", highlight=False)
            raise StackError(f"{stack.run} did not stop within {STOP_TIMEOUT:g} s")
        time.sleep(0.1)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(status)
    app.command()(logs)
    app.command()(down)
