"""``testbed rules``: alerting and recording rules of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.console import BuildProgress, interruptible, out, say
from testbed.settings import load_settings

app = typer.Typer(help="Alerting and recording rules of your own.", no_args_is_help=True)
ADVICE = 20
"""Rules of which advice is printed unless all is asked for."""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A rules file, or a folder of them and of folders.")],
    *,
    time_scale: Annotated[
        float, typer.Option("--time-scale", min=1, help="At which they are to be played.")
    ] = 30.0,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Print all advice, not that of {ADVICE} rules.")
    ] = False,
) -> None:
    """Check rules as a run would, without one: exit 2 where Prometheus would not load them.

    Reads whatever a run reads: files ending in .yml, .yaml and .rules, folders below, several
    documents in one file, PrometheusRule objects. Says which rules no time scale suits, and what
    is worth a look.

    Examples:

      testbed rules check ./my-rules

      testbed rules check alerts.yml --time-scale 60
    """
    from testbed_rules.lint import lint

    from testbed.rulecheck import fit_rules, read_own_rules
    from testbed.stack.build import install
    from testbed.stack.environments import EXPORT_INTERVAL

    settings = load_settings()
    rules = read_own_rules(path, prefer_path=settings.prefer_path)
    with interruptible():
        tools = install(BuildProgress(), prefer_path=settings.prefer_path, only=["prometheus"])
        fitting = fit_rules(rules, tools, time_scale, say)
    reasons: dict[str, list[str]] = {}
    for found in lint(fitting.files, interval=EXPORT_INTERVAL, factor=1, known=None):
        reasons.setdefault(f"{found.file}: {found.rule}", []).append(found.reason)
    advice = [f"{rule}: {'; '.join(each)}" for rule, each in reasons.items()]
    shown = advice if everything else advice[:ADVICE]
    for line in shown:
        out.print(f"advice    {line}", highlight=False, markup=False)
    if len(advice) > len(shown):
        out.print(f"advice    of {len(advice) - len(shown)} more rules: --all", highlight=False)
    count = sum(
        len(group.get("rules") or ())
        for document in fitting.files.values()
        for group in document["groups"]
    )
    out.print(
        f"{len(rules.files)} files, {count} rules to play at time scale {time_scale:g}, "
        f"{len(fitting.aside)} set aside",
        highlight=False,
    )


def register(commands: typer.Typer) -> None:
    """Add the group."""
    commands.add_typer(app, name="rules")
