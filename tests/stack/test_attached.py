"""A scenario on a stack that others have started: one that this very test runs beside it."""

from __future__ import annotations

import io
import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from testbed.attached import attached_stack, prepare_attached
from testbed.board import Board
from testbed.errors import UsageError
from testbed.preparation import RunOptions, prepare
from testbed.runner import play, running_stack
from testbed.scenario import read_scenario
from testbed.scenarioenv import scenario_environment
from testbed.schedule import schedule
from testbed.settings import Settings
from testbed.stack.stack import Stack
from testbed.timeline import Timeline

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.scenario import Scenario

SHORT = """\
name: short
title: Short
description: An error burst that HighErrorRate must notice.
phases:
  - {name: normal, duration: 5m, rate: 40}
  - name: errors
    duration: 8m
    rate: 40
    faults: [{kind: errors, share: 0.4}]
  - {name: after, duration: 5m, rate: 40}
settle: 10m
expected_alerts:
  - {alert: HighErrorRate, phase: errors, within: 10m, resolves_within: 20m}
limits: {error_share: 0.3}
logs: true
"""


def _describe(stack: Stack, scenario: Scenario, settings: Settings) -> Path:
    """The description that a stack of Compose leaves of itself, for this one."""
    context = stack.context
    folder = context.layout.root / "described"
    folder.mkdir()
    targets = [
        {"targets": [address], "labels": {"instance": instance}}
        for address, instance in context.serving.items()
    ]
    (folder / "api-9464.json").write_text(json.dumps(targets))
    file = context.layout.config / "stack.json"
    file.write_text(
        json.dumps(
            {
                "environment": scenario_environment(scenario, context.factor, settings)
                | {"COMPOSE_PROFILES": "host"},
                "addresses": dict(context.endpoints),
                "log_url": context.log_url,
                "token": str(context.layout.management_token),
                "model": str(context.layout.model),
                "received": str(context.layout.root),
                "drift": str(context.layout.drift),
                "targets": str(folder),
            }
        )
    )
    return file


@pytest.mark.usefixtures("tools")
def test_it_ends_with_a_verdict_and_leaves_the_stack_running(tmp_path: Path) -> None:
    """It passes, with all evidence; what has answered once is refused the second time."""
    (tmp_path / "short.yaml").write_text(SHORT)
    scenario, settings = read_scenario(tmp_path / "short.yaml"), Settings(home=tmp_path)
    own = prepare(
        scenario,
        RunOptions(guarded=False, out=tmp_path / "stack"),
        settings,
        progress=lambda *_: None,
        say=lambda _: None,
    )
    timeline = Timeline(own.layout.timeline)
    with running_stack(own, timeline, "up") as (stack, _):
        file = _describe(stack, scenario, settings)
        options = RunOptions(out=tmp_path / "run")
        prepared = prepare_attached(scenario, options, settings, file, say=lambda _: None)
        actions = schedule(prepared.scenario, prepared.factor)
        with Board(Console(file=io.StringIO()), "Short", actions, 36.0) as board:
            verdict = play(prepared, board, opening=partial(attached_stack, file))
        assert verdict.passed, "\n".join(verdict.lines())
        names = {check.name for check in verdict.checks if check.applicable}
        assert {"counts load_api", "counts exports_prometheus", "spans arrived"} <= names
        assert prepared.layout.report_file.is_file()
        assert set(stack.pids()) >= {"api", "prometheus", "drift", "receiver"}
        with pytest.raises(UsageError, match="this stack has a history"):
            prepare_attached(scenario, RunOptions(), settings, file, say=lambda _: None)
