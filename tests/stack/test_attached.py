"""A scenario on a stack that others have started: one that this very test runs beside it."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from testbed.attached import attached_stack, prepare_attached
from testbed.board import Board
from testbed.errors import SlowMachineError
from testbed.preparation import prepare
from testbed.runner import play
from testbed.runoptions import RunOptions
from testbed.runstack import running_stack
from testbed.scenario import read_scenario
from testbed.schedule import schedule
from testbed.selfdescription import describe
from testbed.settings import Settings
from testbed.timeline import Timeline

from .playing import NO_REPORTS

if TYPE_CHECKING:
    from pathlib import Path

SHORT = """\
name: short
title: Short
description: An error burst that HighErrorRate must notice, and a drift that stands at the end.
phases:
  - {name: normal, duration: 5m, rate: 40}
  - name: errors
    duration: 8m
    rate: 40
    faults: [{kind: errors, ratio: 0.4}]
  - name: drifted
    duration: 14m
    rate: 40
    drift: {name: covariate_shift, severity: 2.0}
settle: 8m
expected_alerts:
  - {alert: HighErrorRate, phase: errors, within: 10m, resolves_within: 20m}
  - {alert: DataDrift, phase: drifted, within: 16m}
allowed_alerts: [ConceptDrift, EstimatedErrorHigh]
muted_alerts: [SegmentDrift]
expected_decision: [ALERT, RETRAIN]
limits: {error_ratio: 0.3}
logs: true
"""


RUNS, TRIES = 2, 4


@pytest.mark.long
@pytest.mark.timeout(1600)
@pytest.mark.usefixtures("tools")
def test_it_ends_with_a_verdict_and_leaves_the_stack_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice: both pass, each with its own evidence alone, and no process ends."""
    for name, value in NO_REPORTS.items():
        monkeypatch.setenv(name, value)
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
        file = describe(own, settings)
        pids = stack.pids()
        passed = 0
        for number in range(1, 1 + TRIES):
            if passed == RUNS:
                break
            options = RunOptions(out=tmp_path / f"run-{number}", seed=number)
            prepared = prepare_attached(scenario, options, settings, file, say=print)
            actions = schedule(prepared.scenario, prepared.factor)
            try:
                with Board(Console(file=io.StringIO()), "Short", actions, 36.0) as board:
                    verdict = play(prepared, board, opening=partial(attached_stack, file))
            except SlowMachineError:  # other work on the machine: nothing is said of the stack
                continue
            passed += 1
            assert verdict.passed, "\n".join(verdict.lines())
            names = {check.name for check in verdict.checks if check.applicable}
            assert {"counts load_api", "counts exports_prometheus", "spans arrived"} <= names
            assert prepared.layout.report_file.is_file()
        assert passed == RUNS, "too slow"
        assert stack.pids() == pids
    own.context.claims.release()
