"""``testbed scenarios``: those that ship, and a look at one of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed.console import out
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.facts.configured import ConfiguredGroup

app = typer.Typer()
RulesOption = Annotated[
    Path | None,
    typer.Option(help="Your rules, a file or a folder, in place of the shipped ones."),
]


@app.callback(invoke_without_command=True)
def scenarios(context: typer.Context, *, rules: RulesOption = None) -> None:
    """List the scenarios that ship with the testbed, and which alerts they exercise.

    Examples:

      testbed scenarios

      testbed scenarios --rules ./my-rules

      testbed scenarios check my-scenario.yaml
    """
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table
    from testbed_rules.rulefiles import read_rules

    from testbed.coverage import alert_coverage, coverage_text, covering_text
    from testbed.facts.configured import groups_in
    from testbed.resources import scenario_files, shipped_rules
    from testbed.scenario import read_scenario

    shipped = {name: read_scenario(path) for name, path in scenario_files().items()}
    covered = alert_coverage(groups_in(read_rules(rules or shipped_rules())), shipped)
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


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenarios of your own.")],
    *,
    rules: RulesOption = None,
) -> None:
    """Check scenarios as a run would, without one: exit 2 where it would refuse to start.

    Says all mistakes of all files at once, those of a field with its line and the nearest right
    word; alerts that no rule has, times that can't be kept and faults that can't be, among them.

    Examples:

      testbed scenarios check my-scenario.yaml

      testbed scenarios check *.yaml --rules ./my-rules
    """
    from testbed_rules.rulefiles import read_rules

    from testbed.facts.configured import groups_in
    from testbed.resources import shipped_rules

    groups = groups_in(read_rules(rules or shipped_rules()))
    mistakes: list[str] = []
    for file in files:
        try:
            out.print(_checked(file, groups, own_rules=rules is not None), highlight=False)
        except UsageError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UsageError("\n".join(mistakes))


def _checked(file: Path, groups: Sequence[ConfiguredGroup], *, own_rules: bool) -> str:
    """What a scenario is, where a run would start.

    Raises:
        UsageError: it would not; a line for each mistake of one kind.
    """
    from testbed_rules.lint import require_scale
    from testbed_rules.rulefiles import read_rules

    from testbed.alertneeds import alert_names, alert_waits, refuse_unknown_alerts
    from testbed.faultrefusals import refuse_faults
    from testbed.resources import shipped_rules
    from testbed.scenario import read_scenario
    from testbed.stack.environments import EXPORT_INTERVAL
    from testbed.targets import BundledApi
    from testbed.trust import check_scenario

    scenario = read_scenario(file)
    if scenario.service is None or own_rules:
        refuse_unknown_alerts(
            scenario,
            alert_names(groups),
            own_rules=own_rules or scenario.service is not None,
            waits=alert_waits(groups),
        )
    target = scenario.service or BundledApi()
    target.refuse(scenario)
    refuse_faults(scenario, target, frozenset(), scenario.time_scale)
    require_scale(read_rules(shipped_rules()), interval=EXPORT_INTERVAL, factor=scenario.time_scale)
    check_scenario(file, scenario)
    real = (scenario.duration + scenario.settle) / scenario.time_scale
    return f"{file}: {scenario.name}, {len(scenario.phases)} phases, about {real:.0f} s to play"


def register(commands: typer.Typer) -> None:
    """Add the group."""
    commands.add_typer(app, name="scenarios")
