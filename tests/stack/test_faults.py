"""Faults for real, one after another in one run: each takes hold, and every loss has its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.scenario import read_scenario

from .playing import failed_checks, play

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.commandline import CommandLine

SCENARIO = """\
name: everything
title: One fault after another
description: Each takes hold and costs nothing that has no reason.
phases:
  - {name: normal, duration: 3m, rate: 40}
  - name: processes
    duration: 4m
    rate: 40
    faults:
      - {kind: freeze, component: drift, duty: 0.5}
      - {kind: kill, component: node_exporter, down: 2m}
      - {kind: cpu, component: receiver, workers: 1, nice: 10}
      - {kind: memory, mib: 64}
      - {kind: file-descriptors, component: api, spare: 50}
  - name: asked
    duration: 2m
    rate: 40
    faults:
      - kind: http
        start: {method: PUT, url: "http://api:9464/faults", body: {errors: {ratio: 0.2}}}
        end_with: {method: DELETE, url: "http://api:9464/faults"}
      - {kind: exec, start: ["true"], end_with: ["true"]}
  - name: late
    duration: 3m
    rate: 40
    faults:
      - {kind: network, from: load, to: api, delay: 0.2, jitter: 0.1}
      - {kind: network, from: api, to: collector, delay: 0.3}
      - {kind: network, from: collector, to: prometheus, bandwidth: 50}
  - name: lost
    duration: 3m
    rate: 40
    faults:
      - {kind: network, from: prometheus, to: alertmanager, lost: partition}
      - {kind: network, from: alertmanager, to: receiver, lost: reset}
  - {name: killed, duration: 6m, rate: 40, faults: [{kind: kill, component: api, down: 30s}]}
  - {name: recovery, duration: 6m, rate: 40}
settle: 12m
allowed_alerts:
  - HighErrorRate
  - HighLatency
  - HighConcurrentRequests
  - SlowInference
  - APIDown
  - TelemetryPipelineDown
  - PrometheusErrorSendingAlertsToAnyAlertmanager
limits: {error_ratio: 0.3, p95_seconds: 2}
"""


@pytest.mark.timeout(1300)
def test_each_fault_takes_hold_and_is_accounted_for(
    command_line: CommandLine, tmp_path: Path
) -> None:
    """On processes, by cooperation, on the network; what the scenario asks of others is trusted."""
    scenario = tmp_path / "everything.yaml"
    scenario.write_text(SCENARIO)
    command_line.environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    refused = play(command_line, str(scenario))
    assert refused.code == 2
    assert "not trusted: 'true; true'" in refused.output
    assert command_line.run("trust", str(scenario)).code == 0
    result = play(command_line, str(scenario))
    assert result.code == 0, failed_checks(result)
    planned = [f for phase in read_scenario(scenario).phases for f in phase.faults]
    took = [c["name"] for c in result.verdict["checks"] if c["name"].startswith("fault ")]
    assert len(took) == len(planned)
    hops = {hop["key"]: hop for hop in result.verdict["hops"]}
    assert {hop["residual"] for hop in hops.values()} == {0}
    reasons = {e["reason"] for hop in hops.values() for e in hop["explained"]}
    assert "injected_error" in reasons
