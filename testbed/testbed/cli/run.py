"""``testbed run``, ``scenarios``, ``report``: play a scenario and see what came of it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from testbed_drift.cli.bundles import taking

from testbed.cli import completion
from testbed.cli.common import (
    OWN_DATA,
    ReplicasOption,
    SeedOption,
    UseCaseOption,
)
from testbed.cli.live import find_run, find_stack, print_urls
from testbed.console import BuildProgress, errors, interruptible, out, say
from testbed.errors import UsageError
from testbed.owndata import OwnData
from testbed.resources import scenario_files
from testbed.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.board import Board
    from testbed.preparation import Prepared
    from testbed.runoptions import RunOptions
    from testbed.runstack import Opening
    from testbed.scenario import Scenario
    from testbed.stack.stack import Stack
    from testbed.verdict import Verdict

TimeScaleOption = Annotated[
    float | None,
    typer.Option(min=1, help="Divides every duration; default: the scenario's."),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for the run; default: .testbed/runs/…")
]


@taking(own=OWN_DATA)
def run(
    scenario: Annotated[
        str | None,
        typer.Argument(
            help="Name of a scenario, or a YAML file.", autocompletion=completion.scenario_names
        ),
    ] = None,
    *,
    use_case: UseCaseOption = None,
    own: OwnData,
    seed: SeedOption = 1,
    time_scale: TimeScaleOption = None,
    rules: Annotated[
        Path | None,
        typer.Option(help="Your rules, a file or a folder, in place of the shipped ones."),
    ] = None,
    service: Annotated[
        Path | None,
        typer.Option(help="File of your own service, which is tested in place of the API."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Your own model, served by the API: an artefact folder, a file .onnx or .skops, "
            "package.module:object, an entry point, or mlflow: and a folder or URI.",
        ),
    ] = None,
    alertmanager: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Your Alertmanager configuration, in place of the shipped one; each integration "
            "sends to the run's receiver.",
        ),
    ] = None,
    prometheus: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Your Prometheus configuration: its rule files, intervals, external labels and "
            "static scrape jobs are added to the run's.",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave a component out: collector, alertmanager, receiver, drift …",
            autocompletion=completion.optional_components,
        ),
    ] = None,
    replicas: ReplicasOption = 1,
    stack: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Play on a running stack: the run of `testbed up`, or the file stack.json by "
            "which a stack says what it is.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack running until Ctrl-C.")
    ] = False,
    folder: OutOption = None,
    catalogue: Annotated[
        bool, typer.Option("--all", help="Play every scenario that ships, and print a table.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stacks at a time, of --all (default: two for each processor, 8 at most).",
        ),
    ] = None,
) -> None:
    """Play a scenario and give the verdict: exit 0 pass, 1 failed, 2 could not run.

    Examples:

      testbed run demo

      testbed run covariate-drift --use-case diabetes --data diabetes.csv --seed 3

      testbed run covariate-drift --use-case any --data mine.csv --target bought

      testbed run error-burst --rules ./my-rules --out ./result

      testbed run --all --jobs 3

      testbed run --all --service service.yaml

      testbed run covariate-drift --service service.yaml --use-case iris

      testbed run covariate-drift --stack 20260101T120000-up-seed1

      testbed run covariate-drift --model churn.skops --use-case churn

      testbed run normal --model mymodels.iris:forest --use-case iris

      testbed run my-pages.yaml --alertmanager ./alertmanager.yml
    """
    from testbed.attached import attached_stack, prepare_attached
    from testbed.board import Board
    from testbed.ownmodel import OwnModel
    from testbed.playall import play_all
    from testbed.preparation import prepare
    from testbed.report import render_table
    from testbed.runner import play
    from testbed.runoptions import RunOptions
    from testbed.runstack import own_stack
    from testbed.schedule import schedule
    from testbed.servicefile import read_service
    from testbed.stack.ownprometheus import own_rules

    settings = load_settings()
    options = RunOptions(
        use_case=use_case,
        own=own,
        seed=seed,
        time_scale=time_scale,
        rules=rules,
        without=frozenset(without or ()),
        out=folder,
        replicas=replicas,
        target=None if service is None else read_service(service),
        model=None if model is None else OwnModel.parse(model),
        alertmanager=alertmanager,
        prometheus=prometheus,
    )
    if catalogue:
        refuse_for_all(scenario, options, stack, keep=keep)
        with interruptible():
            code = play_all((), folder, jobs, options, service)
        raise typer.Exit(code)
    if scenario is None:
        raise UsageError("name a scenario (testbed scenarios lists them), or give --all")
    if stack is not None and (alertmanager is not None or prometheus is not None):
        option = "--alertmanager" if alertmanager is not None else "--prometheus"
        raise UsageError(f"{option}: a running stack has its own configuration; leave it out")
    if stack is not None and keep:
        raise UsageError("--keep: a running stack goes on anyway; leave it out")
    started = time.monotonic()
    with interruptible(), own_rules(prometheus, rules) as chosen_rules:
        options = replace(options, rules=chosen_rules)
        chosen = _scenario(scenario, options)
        if stack is None:
            prepared = prepare(chosen, options, settings, progress=BuildProgress(), say=say)
            opening: Opening = own_stack
        else:
            file = find_stack(settings, stack)
            prepared = prepare_attached(chosen, options, settings, file, say=say)
            opening = partial(attached_stack, file)
        played, factor = prepared.scenario, prepared.factor
        _say_run(prepared, own=stack is None)
        board = Board(out, played.title, schedule(played, factor), played.duration / factor)

        with board:
            verdict = play(prepared, board, hold=_stay_up(board) if keep else None, opening=opening)
    out.print(render_table(verdict))
    origin = "synthetic data" if prepared.artefact.synthetic else "real data"
    out.print(f"use case  {prepared.use_case}, {origin}, seed {seed}", highlight=False)
    out.print(f"report    {_shown(prepared.layout.report_file)}", highlight=False)
    out.print(f"took      {time.monotonic() - started:.0f} s", highlight=False)
    raise typer.Exit(verdict.exit_code)


def _say_run(prepared: Prepared, *, own: bool) -> None:
    """Its id and scale, and where one can look at it where the stack is its own."""
    from testbed.stack.addresses import CONSOLE

    factor, console = prepared.factor, prepared.context.endpoints.get(CONSOLE)
    say(f"run: {prepared.run_id}, one real second is {factor:g} s of production time")
    if own and console:
        say(f"console: http://{console}/, while the run lasts")


def refuse_for_all(
    scenario: str | None, options: RunOptions, stack: str | None, *, keep: bool
) -> None:
    """What `--all` can't have beside it.

    Raises:
        UsageError: it is given.
    """
    given = {
        "a scenario": scenario,
        "--data": options.own.data,
        "--target": options.own.target,
        "--rules": options.rules,
        "--without": options.without,
        "--replicas": options.replicas != 1,
        "--stack": stack,
        "--model": options.model,
        "--alertmanager": options.alertmanager,
        "--prometheus": options.prometheus,
        "--keep": keep,
    }
    if asked := [name for name, value in given.items() if value]:
        raise UsageError(f"--all plays every scenario as it ships: leave out {', '.join(asked)}")


def demo(
    *,
    seed: SeedOption = 1,
    time_scale: TimeScaleOption = None,
    folder: OutOption = None,
) -> None:
    """Play the demo: the same as `testbed run demo`.

    Examples:

      testbed demo
    """
    run("demo", seed=seed, time_scale=time_scale, folder=folder)


def _stay_up(board: Board) -> Callable[[Stack, Verdict], None]:
    """Hold the stack until Ctrl-C, which then isn't an interruption: the verdict stands."""
    from testbed.live import hold
    from testbed.report import render_table

    def keep(stack: Stack, verdict: Verdict) -> None:
        board.close()
        out.print(render_table(verdict))
        print_urls(stack.urls())
        with contextlib.suppress(KeyboardInterrupt):
            hold(stack)

    return keep


def _scenario(name: str, options: RunOptions) -> Scenario:
    """The scenario; of one that ships, without what it says of rules and routes that ship."""
    from testbed.chosenscenario import chosen_scenario

    scenario = chosen_scenario(name, other_service=options.target is not None)
    if name not in scenario_files():
        return scenario
    scenario = scenario.for_other_rules() if options.rules else scenario
    return scenario.for_other_routes() if options.alertmanager else scenario


def report(
    run_name: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Run id or folder; default: the latest verdict.",
            autocompletion=completion.run_ids,
        ),
    ] = None,
) -> None:
    """Show a run's verdict again and write its report anew.

    Examples:

      testbed report

      testbed report .testbed/runs/20260101T120000-demo-seed1
    """
    from testbed.report import render_table, rewrite_report

    layout = find_run(load_settings(), run_name, "verdict.json")
    verdict = rewrite_report(layout)
    out.print(render_table(verdict))
    out.print(f"report    {_shown(layout.report_file)}", highlight=False)
    errors.print(f"verdict   {_shown(layout.verdict_file)}", highlight=False)


def _shown(path: Path) -> str:
    """Relative to the working directory where that is shorter."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(demo)
    app.command()(report)
