"""``testbed scenarios``: those that ship, and a look at one of one's own."""

from __future__ import annotations

import json as jsonformat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from testbed_domain.errors import DomainError

from testbed.console import out
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.facts.configured import ConfiguredGroup
    from testbed.scenario import Scenario

app = typer.Typer()
RulesOption = Annotated[
    Path | None,
    typer.Option(help="Your rules, a file or a folder, in place of the shipped ones."),
]


@app.callback(invoke_without_command=True)
def scenarios(
    context: typer.Context,
    *,
    rules: RulesOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """List the scenarios that ship with the testbed, and which alerts they exercise.

    Examples:

      testbed scenarios

      testbed scenarios --rules ./my-rules

      testbed scenarios --json | jq -r '.scenarios[].name'

      testbed scenarios check my-scenario.yaml
    """
    if context.invoked_subcommand is not None:
        return
    from testbed_rules.rulefiles import read_rules

    from testbed.coverage import alert_coverage, coverage_text, covering_text
    from testbed.facts.configured import groups_in
    from testbed.resources import scenario_files, shipped_rules
    from testbed.scenario import read_scenario
    from testbed.wordtable import WordTable

    shipped = {name: read_scenario(path) for name, path in scenario_files().items()}
    covered = alert_coverage(groups_in(read_rules(rules or shipped_rules())), shipped)
    if json:
        typer.echo(jsonformat.dumps(_described(shipped, covered), indent=2))
        return
    table = WordTable("name", ">real time", "must fire", "what")
    for name, item in shipped.items():
        alerts = ", ".join(alert.alert for alert in item.expected_alerts) or "nothing"
        seconds = item.duration / item.time_scale
        table.add_row(name, f"{seconds:.0f} s", alerts, item.description.strip())
    out.print(table)
    out.print()
    table = WordTable("alert", "exercised by")
    for alert, by in covered.items():
        table.add_row(alert, covering_text(by, shipped))
    out.print(table)
    out.print(coverage_text(covered), highlight=False)


def _described(
    shipped: Mapping[str, Scenario], covered: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """What ``--json`` prints: real and production time in seconds."""
    return {
        "scenarios": [
            {
                "name": name,
                "title": item.title,
                "description": " ".join(item.description.split()),
                "use_case": item.use_case,
                "time_scale": item.time_scale,
                "production_seconds": item.duration,
                "real_seconds": round(item.duration / item.time_scale, 1),
                "must_fire": [alert.alert for alert in item.expected_alerts],
            }
            for name, item in shipped.items()
        ],
        "alerts": {alert: list(by) for alert, by in covered.items()},
    }


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenarios of your own.")],
    *,
    rules: RulesOption = None,
) -> None:
    """Check scenarios as a run would, without one: exit 2 where it would refuse to start.

    Says all mistakes of all files at once, those of a field with its line and the nearest right
    word; alerts that no rule has, columns that the use case lacks, times that can't be kept and
    faults that can't be, among them.
    Refuses alerts, too, whose rules wait too long to fire in time: of those a verdict would say so.

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
        except DomainError as error:
            lines = str(error).split("\n")
            mistakes += [line if str(file) in line else f"{file}: {line}" for line in lines]
    if mistakes:
        raise UsageError("\n".join(mistakes))


def _checked(file: Path, groups: Sequence[ConfiguredGroup], *, own_rules: bool) -> str:
    """What a scenario is, where a run would start.

    Raises:
        DomainError: it would not; a line for each mistake of one kind.
    """
    from testbed_domain.use_cases import ANY, get_use_case
    from testbed_load.fitting import require_templates
    from testbed_rules.lint import require_scale
    from testbed_rules.rulefiles import read_rules

    from testbed.alertneeds import alert_labels, alert_waits, refuse_unknown_alerts
    from testbed.faultrefusals import refuse_faults
    from testbed.resources import shipped_rules
    from testbed.scenario import read_scenario
    from testbed.settings import load_settings
    from testbed.stack.environments import EXPORT_INTERVAL
    from testbed.targets import BundledApi
    from testbed.trust import check_scenario
    from testbed.usecasechoice import name_use_case, require_columns

    scenario = read_scenario(file)
    use_case = name_use_case(None, None, load_settings(), scenario.use_case)
    require_columns(scenario, use_case)
    if scenario.service is None or own_rules:
        refuse_unknown_alerts(
            scenario,
            alert_labels(groups),
            own_rules=own_rules or scenario.service is not None,
            waits=alert_waits(groups),
        )
    target = scenario.service or BundledApi()
    target.refuse(scenario)
    target.require_use_case(use_case)
    if (exchange := target.exchange()) is not None and use_case != ANY:
        require_templates(exchange, get_use_case(use_case).schema)
    refuse_faults(scenario, target, frozenset(), scenario.time_scale)
    require_scale(read_rules(shipped_rules()), interval=EXPORT_INTERVAL, factor=scenario.time_scale)
    check_scenario(file, scenario)
    real = (scenario.duration + scenario.settle) / scenario.time_scale
    return f"{file}: {scenario.name}, {len(scenario.phases)} phases, about {real:.0f} s to play"


def register(commands: typer.Typer) -> None:
    """Add the group."""
    commands.add_typer(app, name="scenarios")
