"""Faults for real, one after another in one run: each takes hold, and every loss has its reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from testbed.layout import RunLayout
from testbed.scenario import read_scenario
from testbed.stack.database import why_not

from tests.support.needs import missing
from tests.support.typedpage import blocks_of, typed_in
from tests.support.yamltext import load_yaml

from .playing import failed_checks, play

if TYPE_CHECKING:
    from tests.support.commandline import CommandLine

PAGE = "how-to/faults.md"
# Its phases have the faults that the page shows, too: SHOWN says where.
SCENARIO = """\
name: everything
title: One fault after another
description: Each takes hold and costs nothing that has no reason.
settings: {api: {deadline: 1, keys: true}, log: {database: postgresql}}
phases:
  - {name: normal, duration: 3m, rate: 40}
  - {name: hanging, duration: 8m, rate: 40}
  - {name: executed, duration: 2m, rate: 40}
  - name: processes
    duration: 4m
    rate: 40
    faults:
      - {kind: freeze, component: drift, duty: 0.5}
      - {kind: kill, component: node_exporter, down: 2m}
      - {kind: cpu, component: receiver, workers: 1, nice: 10}
      - {kind: memory, mib: 64}
      - {kind: file-descriptors, component: api, spare: 50}
  - {name: asked, duration: 2m, rate: 40}
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
  - {name: log-killed, duration: 5m, rate: 40}
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
            - {type: action, name: begin, provider: {type: process, path: ./break-my-cache}}
          rollbacks:
            - {type: action, name: end, provider: {type: process, path: ./mend-my-cache}}
  - {name: log-apart, duration: 2m, rate: 40}
  - name: log-reset
    duration: 2m
    rate: 40
    faults: [{kind: network, from: api, to: database, lost: reset}]
  - {name: between, duration: 3m, rate: 40}
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


# Phase to the kinds of the page's faults that it has.
SHOWN = {
    "hanging": ("freeze",),
    "asked": ("http", "hostile"),
    "executed": ("exec",),
    "deployed": ("rule-file", "routes"),
    "log-killed": ("kill",),
    "log-apart": ("network",),
    "between": ("chaos",),
}
# What the page's last two execute: it finds the run as its documentation says.
PROGRAM = """\
#!{python}
import json, os, pathlib, urllib.request
run = pathlib.Path(os.environ["TESTBED_RUN"])
address = json.loads((run / "run.json").read_text())["endpoints"]["api:9464"]
token = (run / "{token}").read_text().strip()
headers = {{"Authorization": f"Bearer {{token}}", "Content-Type": "application/json"}}
body = b'{{"errors": {{"ratio": 0.5}}}}' if "{method}" == "PUT" else None
url = f"http://{{address}}/faults"
urllib.request.urlopen(urllib.request.Request(url, body, headers, method="{method}"), timeout=10)
"""


def faults_of_the_page() -> dict[str, dict[str, Any]]:
    """Kind to the one fault of that kind that stands in a block of the page."""
    blocks = [load_yaml(body) for body in blocks_of(PAGE, "yaml")]
    parts = [part for block in blocks for part in (block, *block.get("phases", ()))]
    found = [fault for part in parts for fault in part.get("faults", ())]
    by_kind = {fault["kind"]: fault for fault in found}
    assert len(by_kind) == len(found), "two of one kind"
    return by_kind


def scenario_with(shown: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The scenario, with the page's faults and what it says that the first of them provokes."""
    whole: dict[str, Any] = load_yaml(SCENARIO)
    assert sorted(shown) == sorted(kind for kinds in SHOWN.values() for kind in kinds)
    for phase in whole["phases"]:
        faults = [shown[kind] for kind in SHOWN.get(phase["name"], ())]
        phase["faults"] = [*phase.get("faults", ()), *faults]
    example = load_yaml(blocks_of(PAGE, "yaml")[0])
    whole["expected_alerts"] += example["expected_alerts"]
    return whole


def lay_out(folder: Path, repository: Path) -> None:
    """The files that the page's faults name: programs, and wrong rules and routes."""
    token = RunLayout(Path()).management_token
    for name, method in (("break-my-cache", "PUT"), ("mend-my-cache", "DELETE")):
        program = folder / name
        program.write_text(PROGRAM.format(python=sys.executable, token=token, method=method))
        program.chmod(0o700)
    (folder / "wrong").mkdir()
    rules = (repository / "prometheus/rules/api.yml").read_text()
    assert "> 0.1\n" in rules
    (folder / "wrong/api.yml").write_text(rules.replace("> 0.1\n", "> 1000\n"))
    routes = load_yaml((repository / "alertmanager/alertmanager.yml").read_text())
    routes["route"] |= {"receiver": "critical"}
    (folder / "wrong/alertmanager.yml").write_text(yaml.safe_dump(routes))


@pytest.mark.long
@pytest.mark.timeout(1300)
def test_each_fault_takes_hold_and_is_accounted_for(
    command_line: CommandLine, repository: Path
) -> None:
    """On processes, by cooperation, on the network; what the scenario asks of others is trusted.

    Those that the page shows are the page's, with its commands: all that it shows are played.
    """
    if (reason := why_not()) is not None:
        missing(reason)
    folder = command_line.folder
    lay_out(folder, repository)
    scenario = folder / "everything.yaml"
    scenario.write_text(yaml.safe_dump(scenario_with(faults_of_the_page())))
    command_line.environment["XDG_CONFIG_HOME"] = str(folder / "config")
    own = {"hanging.yaml": scenario.name}
    _, file = typed_in(PAGE, "testbed run hanging.yaml", own)
    refused = play(command_line, file)
    assert refused.code == 2
    assert "not trusted: './break-my-cache; ./mend-my-cache'" in refused.output
    assert command_line.run(*typed_in(PAGE, "testbed trust hanging.yaml", own)).code == 0
    result = play(command_line, file)
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
    (hung,) = (row for row in result.verdict["alerts"] if row["phase"] == "hanging")
    assert (hung["alert"], hung["status"]) == ("TelemetryPipelineDown", "detected")
    reasons = {e["reason"] for hop in hops.values() for e in hop["explained"]}
    assert {"injected_error", "rejected_422", "shed_503"} <= reasons
