"""The whole loop for real: the verdict passes and fails where it must, and says what drifts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.typedpage import typed_in
from tests.support.yamltext import load_yaml

from .playing import QUICK, SHORT, failed_checks, play, telemetry_hops
from .stranger import Stranger

if TYPE_CHECKING:
    from tests.support.commandline import CommandLine
    from tests.support.datafiles import DataFile

ERRORS_AND_LATENCY = """\
name: damaged
title: Errors and latency
description: Four alerts must be notified; of three the rules are damaged.
phases:
  - name: bad
    duration: 11m
    rate: 45
    faults: [{kind: errors, ratio: 0.3}, {kind: latency, seconds: 1.4, ratio: 0.5}]
settle: 4m
expected_alerts:
  - {alert: HighErrorRate, phase: bad, within: 10m}
  - {alert: HighLatency, phase: bad, within: 10m}
  - {alert: SlowInference, phase: bad, within: 10m}
  - {alert: HighConcurrentRequests, phase: bad, within: 14m}
limits: {error_ratio: 0.4, p95_seconds: 2.0}
"""
UNSEEN = """\
name: unseen
title: A drift that nobody looks at
description: Without a drift job DataDrift has nothing to go by.
phases:
  - {name: normal, duration: 2m, rate: 50}
  - {name: drifted, duration: 8m, rate: 50, drift: {name: label_shift, severity: 1.0}}
settle: 2m
expected_alerts: [{alert: DataDrift, phase: drifted, within: 9m}]
expected_decision: [ALERT, RETRAIN]
"""


@pytest.mark.parametrize("diabetes_file", ["best"], indirect=True)
def test_normal_traffic_loses_nothing_and_takes_nothing_of_strangers(
    command_line: CommandLine, diabetes_file: DataFile
) -> None:
    """Points, exports and spans of the API and the drift job are found again at every hop.

    Telemetry of another service with the same name, at the usual ports and at the run's own, where
    its id is missing, changes nothing. Rows of a file, real ones where they are there, raise no
    drift.
    """
    command_line.environment["OTEL_TRACES_SAMPLER_ARG"] = "0.5"
    stranger = Stranger(command_line.folder / "run")
    with stranger.sending():
        data = ("--data", str(diabetes_file.path), "--seed", "2")
        result = play(command_line, "normal", *data, *QUICK)
    assert result.code == 0, result.output
    hops = telemetry_hops(result)
    assert len(hops) == 5
    for hop in hops.values():
        assert hop["sent"] > 100
        assert {item["reason"] for item in hop["explained"]} <= {"in_transit"}
        assert hop["residual"] == 0
    text = (result.out / "series.json").read_text()
    processes = json.loads(text)["pipeline"]["processes"]
    assert [each["instance"].partition("-")[0] for each in processes] == ["api", "drift"]
    assert stranger.answers == {"collector": {404}, "prometheus": {404}}
    assert "stranger" not in text


def damaged_rules(folder: Path, source: Path) -> Path:
    """A copy of the shipped rules: one finds nothing, one's limit is too high, one's wait too long.

    One that is gone is refused before anything starts.
    """
    folder.mkdir()
    raised = misled = 0
    for path in source.glob("*.yml"):
        document: dict[str, Any] = load_yaml(path.read_text())
        for group in document["groups"]:
            for rule in group["rules"]:
                if rule.get("alert") == "HighErrorRate":
                    rule["expr"], misled = re.subn('job="[^"]+"', 'job="gone"', rule["expr"])
                if rule.get("alert") == "HighLatency":
                    rule["expr"], raised = re.subn(r"> 1$", "> 10", rule["expr"].strip())
                if rule.get("alert") == "SlowInference":
                    rule["for"] = "1h"
        (folder / path.name).write_text(yaml.safe_dump(document))
    assert raised == 1
    assert misled
    return folder


def test_damaged_rules_fail_the_verdict(
    command_line: CommandLine, repository: Path, tmp_path: Path
) -> None:
    """Rules that no longer work are noticed: exit 1 and each alert's name in the reasons.

    A rule as it is shipped is notified in the same run.
    """
    rules = damaged_rules(tmp_path / "rules", repository / "prometheus" / "rules")
    scenario = tmp_path / "damaged.yaml"
    scenario.write_text(ERRORS_AND_LATENCY)
    result = play(command_line, str(scenario), "--rules", str(rules), *QUICK)
    assert result.code == 1, result.output
    failed = [f"{name} {summary}" for name, summary in failed_checks(result).items()]
    for alert in ("HighErrorRate", "HighLatency", "SlowInference"):
        assert any(alert in text for text in failed), failed
    notified = {row["alert"] for row in result.verdict["alerts"] if row["notified"]}
    assert "HighConcurrentRequests" in notified, result.output


@pytest.mark.long
@pytest.mark.parametrize(
    ("scenario", "options"),
    [("concept-drift", ()), ("correlation-drift", ()), ("label-shift", QUICK)],
)
def test_a_drift_is_reported_for_what_it_is(
    command_line: CommandLine, scenario: str, options: tuple[str, ...]
) -> None:
    """It is notified, and no decision stands on anything that did not move."""
    result = play(command_line, scenario, *options, studied=True)
    assert result.code == 0, result.output
    assert "drift causes" in (result.out / "verdict.json").read_text()


def test_a_missing_drift_job_fails_the_verdict(command_line: CommandLine, tmp_path: Path) -> None:
    """Without the drift job DataDrift never fires, and the verdict says why."""
    scenario = tmp_path / "unseen.yaml"
    scenario.write_text(UNSEEN)
    result = play(command_line, str(scenario), "--without", "drift", *QUICK)
    assert result.code == 1, result.output
    failed = failed_checks(result)
    assert any("DataDrift" in f"{k} {v}" for k, v in failed.items())
    assert any("drift job" in v for v in failed.values()), failed


def test_a_missing_collector_fails_the_verdict(command_line: CommandLine) -> None:
    """Without the Collector no telemetry arrives, and the verdict says so."""
    result = play(command_line, SHORT, "--without", "collector", *QUICK)
    assert result.code == 1, result.output
    assert any("Prometheus" in v for v in failed_checks(result).values())


@pytest.mark.long
@pytest.mark.parametrize("diabetes_file", ["best"], indirect=True)
def test_a_file_drifts_when_shifted(command_line: CommandLine, diabetes_file: DataFile) -> None:
    """On rows of a file covariate drift is found, also where jobs bear another system's names."""
    command_line.environment["TESTBED_JOB_NAMES"] = "fastapi-instrumentator"
    own = {"diabetes.csv": str(diabetes_file.path)}
    _, *typed = typed_in("how-to/bring-your-own.md", "--data diabetes.csv", own)
    result = play(command_line, *typed, "--seed", "2")
    assert result.code == 0, result.output
    assert "real data" in result.output
