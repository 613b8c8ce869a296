"""Holds the shipped configuration against the programs that will read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed_rules.lint import lint
from testbed_rules.rulefiles import read_rules

from testbed.resources import root
from testbed.stack.asking import ask_tool
from testbed.stack.build import Tools
from testbed.stack.environments import EXPORT_INTERVAL

USUAL_SCALE: Final = 30
"""Time scale that the shipped rules must allow."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check said.

    Attributes:
        name: what was checked, with what.
        passed: whether it is in order.
        output: what the program said.
    """

    name: str
    passed: bool
    output: str


def run_checks(tools: Tools, folder: Path | None = None) -> Iterator[CheckOutcome]:
    """Check rules, routes and pipelines, in order of their folders.

    Args:
        tools: compiled tools.
        folder: the checkout; this one by default.
    """
    folder = folder or root()
    rules = sorted(map(str, (folder / "prometheus/rules").glob("*.yml")))
    tests = sorted(map(str, (folder / "prometheus/rules_test").glob("*.yml")))
    config, routes = folder / "prometheus/prometheus.yml", folder / "alertmanager/alertmanager.yml"
    promtool, amtool = tools.path("promtool"), tools.path("amtool")
    yield _run("promtool check config", [promtool, "check", "config", config])
    yield _run("promtool check rules", [promtool, "check", "rules", "--lint=all", *rules])
    yield _run("promtool test rules", [promtool, "test", "rules", *tests])
    yield _run("amtool check-config", [amtool, "check-config", routes])
    collector = folder / "otel/collector.yaml"
    yield _run("otelcol validate", [tools.path("otelcol"), "validate", f"--config={collector}"])
    yield _lint(folder)


def _run(name: str, command: list[str | Path]) -> CheckOutcome:
    done = ask_tool(command)
    return CheckOutcome(name, done.returncode == 0, f"{done.stdout}{done.stderr}".strip())


def _lint(folder: Path) -> CheckOutcome:
    runbooks = {
        str(path.relative_to(folder)) for path in sorted((folder / "docs/runbooks").glob("*.md"))
    }
    problems = lint(
        read_rules(folder / "prometheus/rules"),
        interval=EXPORT_INTERVAL,
        factor=USUAL_SCALE,
        runbooks=runbooks,
    )
    return CheckOutcome("rule lint", not problems, "\n".join(map(str, problems)))
