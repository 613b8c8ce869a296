"""Faults for real, one after another in one run: each takes hold, and every loss has its reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.layout import RunLayout
from testbed.scenario import read_scenario
from testbed.stack.database import why_not

from tests.support.needs import missing

from .playing import failed_checks, play

if TYPE_CHECKING:
    from tests.support.commandline import CommandLine

SCENARIO = """\
name: everything
title: One fault after another
description: Each takes hold and costs nothing that has no reason.
settings: {api: {deadline: 1, keys: true}, log: {database: postgresql}}
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
      - kind: hostile
        rate: 10
        requests: [bad-json, oversize, wrong-type, deep, unknown-field, slow, wrong-key, no-key]
  - name: late
    duration: 3m
    rate: 40
    faults:
      - {kind: network, from: load, to: api, delay: 0.2, jitter: 0.1}
      - {kind: network, from: api, to: collector, delay: 0.3}
      - {kind: network, from: collector, to: prometheus, bandwidth: 50}
      - {kind: leak, mib_per_second: 10}
      - {kind: dns, component: receiver, name: store.example}
  - name: deployed
    duration: 4m
    rate: 40
    faults:
      - {kind: overload, rate: 20}
      - {kind: bad-version}
      - kind: rule-file
        replaces: more.yml
        groups:
          - name: more
            rules: [{alert: Never, expr: vector(1) > 2, labels: {severity: warning}}]
      - kind: routes
        route:
          receiver: warning
          routes:
            - receiver: heartbeat
              matchers: ['severity="none"']
              group_wait: 0s
              group_interval: 1m
              repeat_interval: 5m
  - name: blind
    duration: 3m
    rate: 40
    faults:
      - {kind: kill, component: prometheus, down: 2m}
      - {kind: freeze, component: alertmanager}
      - {kind: kill, component: receiver, down: 2m}
      - {kind: unloaded}
  - name: lost
    duration: 3m
    rate: 40
    faults:
      - {kind: network, from: prometheus, to: alertmanager, lost: partition}
      - {kind: network, from: alertmanager, to: receiver, lost: reset}
  - name: log-killed
    duration: 4m
    rate: 40
    faults: [{kind: kill, component: database, down: 2m}]
  - name: log-frozen
    duration: 2m
    rate: 40
    faults: [{kind: freeze, component: database}]
  - name: log-back
    duration: 2m
    rate: 40
    faults:
      - kind: chaos
        experiment:
          title: errors
          description: The API fails some predictions, and none once it is rolled back.
          method:
            - {type: action, name: begin, provider: {type: process, path: PROGRAM, arguments: PUT}}
          rollbacks:
            - {type: action, name: end, provider: {type: process, path: PROGRAM, arguments: DELETE}}
  - name: log-apart
    duration: 2m
    rate: 40
    faults: [{kind: network, from: api, to: database, lost: partition}]
  - name: log-reset
    duration: 2m
    rate: 40
    faults: [{kind: network, from: api, to: database, lost: reset}]
  - name: between
    duration: 3m
    rate: 40
    faults:
      - kind: chaos
        action: {name: more errors, provider: {type: process, path: PROGRAM, arguments: PUT}}
        undo: {name: no errors, provider: {type: process, path: PROGRAM, arguments: DELETE}}
  - {name: killed, duration: 6m, rate: 40, faults: [{kind: kill, component: api, down: 30s}]}
  - {name: recovery, duration: 6m, rate: 40}
settle: 12m
expected_alerts: [{alert: ModelNotLoaded, phase: blind, within: 3m}]
expected_decision: [NO_ACTION, ALERT, RETRAIN]
allowed_alerts:
  - HighErrorRate
  - HighLatency
  - HighConcurrentRequests
  - SlowInference
  - APIDown
  - PredictionLogFailing
  - TelemetryPipelineDown
  - PrometheusErrorSendingAlertsToAnyAlertmanager
  - ConceptDrift
limits: {error_ratio: 0.5, p95_seconds: 2}
"""


# What the Chaos Toolkit executes: it finds the run as its documentation says.
PROGRAM = """\
#!{python}
import json, os, pathlib, sys, urllib.request
run = pathlib.Path(os.environ["TESTBED_RUN"])
address = json.loads((run / "run.json").read_text())["endpoints"]["api:9464"]
token = (run / "{token}").read_text().strip()
headers = {{"Authorization": f"Bearer {{token}}", "Content-Type": "application/json"}}
body = b'{{"errors": {{"ratio": 0.5}}}}' if sys.argv[1] == "PUT" else None
url = f"http://{{address}}/faults"
urllib.request.urlopen(urllib.request.Request(url, body, headers, method=sys.argv[1]), timeout=10)
"""


@pytest.mark.timeout(1300)
def test_each_fault_takes_hold_and_is_accounted_for(
    command_line: CommandLine, tmp_path: Path
) -> None:
    """On processes, by cooperation, on the network; what the scenario asks of others is trusted."""
    if (reason := why_not()) is not None:
        missing(reason)
    scenario = tmp_path / "everything.yaml"
    program = tmp_path / "chaos-errors"
    token = RunLayout(Path()).management_token
    program.write_text(PROGRAM.format(python=sys.executable, token=token))
    program.chmod(0o700)
    scenario.write_text(SCENARIO.replace("PROGRAM", str(program)))
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
    journals = [
        c["summary"] for c in result.verdict["checks"] if c["name"].startswith("fault chaos")
    ]
    assert len(journals) == 2
    assert all("of 2 activities succeeded" in each or "to end it" in each for each in journals)
    hops = {hop["key"]: hop for hop in result.verdict["hops"]}
    assert {hop["residual"] for hop in hops.values()} == {0}
    names = [check["name"] for check in result.verdict["checks"]]
    blind = {name for name in names if name.startswith("monitoring blind")}
    assert len(blind) == 3
    unseen = next(row for row in result.verdict["alerts"] if row["phase"] == "blind")
    assert unseen["status"] == "blind"
    reasons = {e["reason"] for hop in hops.values() for e in hop["explained"]}
    assert {"injected_error", "rejected_422", "shed_503"} <= reasons
