"""``testbed run``, ``scenarios``, ``report``: play a scenario and see what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from testbed_domain.tables.reading import ReadOptions

from testbed.attached import attached_stack, prepare_attached
from testbed.board import Board
from testbed.cli.common import (
    BuildProgress,
    DataOption,
    DecimalOption,
    EncodingOption,
    KindsOption,
    ReplicasOption,
    SeedOption,
    SepOption,
    TargetOption,
    TaskOption,
    UseCaseOption,
    errors,
    interruptible,
    out,
    say,
)
from testbed.cli.live import find_run, print_urls
from testbed.coverage import alert_coverage, coverage_text, covering_text
from testbed.errors import UsageError
from testbed.facts.configured import read_groups
from testbed.live import hold
from testbed.preparation import OwnData, RunOptions, prepare
from testbed.report import render_table, rewrite_report
from testbed.resources import find_scenario, root, scenario_files
from testbed.rulelint import read_rules
from testbed.runner import Opening, own_stack, play
from testbed.scenario import Scenario, read_scenario
from testbed.schedule import schedule
from testbed.settings import load_settings
from testbed.stack.stack import Stack
from testbed.verdict import Verdict


def run(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, or a YAML file.")],
    *,
    use_case: UseCaseOption = None,
    data: DataOption = None,
    target: TargetOption = None,
    task: TaskOption = None,
    sep: SepOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    kinds: KindsOption = None,
    seed: SeedOption = 1,
    time_scale: Annotated[
        float | None,
        typer.Option(min=1, help="Divides every duration; default: the scenario's."),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="Folder of your rule files, in place of the shipped ones.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave a part out: collector, alertmanager, receiver, drift …"),
    ] = None,
    replicas: ReplicasOption = 1,
    stack: Annotated[
        Path | None,
        typer.Option(
            help="Play on a running stack: the file stack.json by which it says what it is."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack running until Ctrl-C.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the run; default: .testbed/runs/…")
    ] = None,
) -> None:
    """Play a scenario and give the verdict: exit 0 pass, 1 failed, 2 could not run.

    Examples:

      testbed run demo

      testbed run covariate-drift --use-case diabetes --data diabetes.csv --seed 3

      testbed run covariate-drift --use-case any --data mine.csv --target bought

      testbed run error-burst --rules ./my-rules --out ./result
    """
    settings = load_settings()
    options = RunOptions(
        use_case=use_case,
        own=OwnData(data, target, task, ReadOptions.parse(sep, decimal, encoding, kinds)),
        seed=seed,
        time_scale=time_scale,
        rules=rules,
        without=frozenset(without or ()),
        out=folder,
        replicas=replicas,
    )
    if stack is not None and keep:
        raise UsageError("--keep: a running stack goes on anyway; leave it out")
    started = time.monotonic()
    with interruptible():
        chosen = _scenario(scenario, rules)
        if stack is None:
            prepared = prepare(chosen, options, settings, progress=BuildProgress(), say=say)
            opening: Opening = own_stack
        else:
            prepared = prepare_attached(chosen, options, settings, stack, say=say)
            opening = partial(attached_stack, stack)
        played, factor = prepared.scenario, prepared.factor
        say(f"run: {prepared.run_id}, one real second is {factor:g} s of production time")
        board = Board(out, played.title, schedule(played, factor), played.duration / factor)

        with board:
            verdict = play(prepared, board, hold=_keep(board) if keep else None, opening=opening)
    out.print(render_table(verdict))
    origin = "synthetic data" if prepared.artefact.synthetic else "real data"
    out.print(f"use case  {prepared.use_case}, {origin}, seed {seed}", highlight=False)
    out.print(f"report    {_shown(prepared.layout.report_file)}", highlight=False)
    out.print(f"took      {time.monotonic() - started:.0f} s", highlight=False)
    raise typer.Exit(verdict.exit_code)


def _keep(board: Board) -> Callable[[Stack, Verdict], None]:
    """Hold the stack until Ctrl-C, which then isn't an interruption: the verdict stands."""

    def keep(stack: Stack, verdict: Verdict) -> None:
        board.close()
        out.print(render_table(verdict))
        print_urls(stack.urls())
        with contextlib.suppress(KeyboardInterrupt):
            hold(stack)

    return keep


def _scenario(name: str, rules: Path | None) -> Scenario:
    """The scenario; of one that ships, without what it says of the rules that ship."""
    scenario = read_scenario(find_scenario(name))
    return scenario.for_other_rules() if rules and name in scenario_files() else scenario


def scenarios(
    *,
    rules: Annotated[
        Path | None, typer.Option(help="Folder of your rule files, in place of the shipped ones.")
    ] = None,
) -> None:
    """List the scenarios that ship with the testbed, and which alerts they exercise.

    Examples:

      testbed scenarios

      testbed scenarios --rules ./my-rules
    """
    folder = rules or root() / "prometheus" / "rules"
    read_rules(folder)  # says what is wrong with a folder of one's own
    shipped = {name: read_scenario(path) for name, path in scenario_files().items()}
    covered = alert_coverage(read_groups(folder), shipped)
    table = Table(box=None, pad_edge=False)
    for title in ("name", "real time", "must fire", "what"):
        table.add_column(title, overflow="fold")
    for name, item in shipped.items():
        alerts = ", ".join(alert.alert for alert in item.expected_alerts) or "nothing"
        seconds = item.duration / item.time_scale
        table.add_row(name, f"{seconds:.0f} s", alerts, item.description.strip())
    out.print(table)
    out.print()
    table = Table(box=None, pad_edge=False)
    for title in ("alert", "exercised by"):
        table.add_column(title, overflow="fold")
    for alert, by in covered.items():
        table.add_row(alert, covering_text(by, shipped))
    out.print(table)
    out.print(coverage_text(covered), highlight=False)


def report(
    run_name: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Run id or folder; default: the latest verdict."),
    ] = None,
) -> None:
    """Show a run's verdict again and write its report anew.

    Examples:

      testbed report

      testbed report .testbed/runs/20260101T120000-demo-seed1
    """
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
    app.command()(scenarios)
    app.command()(report)
