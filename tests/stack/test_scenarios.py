"""The whole loop for real: scenarios end in the verdict that they must end in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CommandLine, Result

# Runs that must fail need no slack for what arrives late.
QUICK = ("--time-scale", "60")
COULD_NOT_RUN = 2


def failed_checks(result: Result) -> dict[str, str]:
    """Name to summary of the checks that failed."""
    return {c["name"]: c["summary"] for c in result.verdict["checks"] if not c["passed"]}


def play(line: CommandLine, *arguments: str) -> Result:
    """Run a scenario; once more where other work on the machine made it too slow to evaluate."""
    result = line.run("run", *arguments, "--out", "run")
    if result.code == COULD_NOT_RUN and "too slow for this time scale" in result.output:
        return line.run("run", *arguments, "--out", "again")
    return result


@pytest.mark.parametrize(
    "scenario",
    [
        *("error-burst", "latency-margin", "model-lost", "api-outage"),
        *("log-spooling", "prometheus-broken"),
    ],
)
def test_faults_fire_and_resolve(command_line: CommandLine, scenario: str) -> None:
    """A fault is notified in time, and as resolved after it; `make scenarios` plays the others."""
    result = play(command_line, scenario)
    assert result.code == 0, result.output


def test_a_collector_outage_loses_nothing(command_line: CommandLine) -> None:
    """After 15 s without a Collector, Prometheus holds exactly what was served.

    What telemetry failed meanwhile is reported, and nothing else is missing.
    """
    command_line.environment["OTEL_TRACES_SAMPLER_ARG"] = "0.5"
    result = play(command_line, "collector-restart")
    assert result.code == 0, result.output
    assert result.verdict["passed"]
    hops = telemetry_hops(result)
    for key in ("points_collector", "exports_prometheus", "spans_collector"):
        reasons = {item["reason"]: item["count"] for item in hops[key]["explained"]}
        assert reasons["export_failed"] > 0
        assert set(reasons) <= {"export_failed", "collector_ended", "in_transit"}
        assert hops[key]["residual"] == 0


def telemetry_hops(result: Result) -> dict[str, dict[str, Any]]:
    """The loss table's part about the telemetry itself, by key."""
    keys = {"exports", "points", "spans"}
    return {
        hop["key"]: hop for hop in result.verdict["hops"] if hop["key"].partition("_")[0] in keys
    }


def test_normal_traffic_loses_no_telemetry(command_line: CommandLine) -> None:
    """Points, exports and spans of the API and the drift job are found again at every hop."""
    command_line.environment["OTEL_TRACES_SAMPLER_ARG"] = "0.5"
    result = play(command_line, "normal", *QUICK)
    assert result.code == 0, result.output
    hops = telemetry_hops(result)
    assert len(hops) == 5
    for hop in hops.values():
        assert hop["sent"] > 100
        assert {item["reason"] for item in hop["explained"]} <= {"in_transit"}
        assert hop["residual"] == 0
    evidence = json.loads((result.out / "series.json").read_text())
    assert [
        process["instance"].partition("-")[0] for process in evidence["pipeline"]["processes"]
    ] == [
        "api",
        "drift",
    ]


def rules_with(folder: Path, source: Path, change: str) -> Path:
    """A copy of the shipped rules in which HighErrorRate is damaged."""
    folder.mkdir()
    for path in source.glob("*.yml"):
        document: dict[str, Any] = yaml.safe_load(path.read_text())
        for group in document["groups"]:
            rules = []
            for rule in group["rules"]:
                if rule.get("alert") == "HighErrorRate":
                    if change == "deleted":
                        continue
                    if change == "threshold":
                        raised = re.sub(r"> 0\.1\b", "> 1", rule["expr"])
                        assert raised != rule["expr"]
                        rule["expr"] = raised
                    if change == "for":
                        rule["for"] = "1h"
                rules.append(rule)
            group["rules"] = rules
        (folder / path.name).write_text(yaml.safe_dump(document))
    return folder


@pytest.mark.parametrize("change", ["deleted", "threshold", "for"])
def test_damaged_rules_fail_the_verdict(
    command_line: CommandLine, repository: Path, tmp_path: Path, change: str
) -> None:
    """A rule that no longer works is noticed: exit 1 and the alert's name in the reason."""
    rules = rules_with(tmp_path / "rules", repository / "prometheus" / "rules", change)
    result = play(command_line, "error-burst", "--rules", str(rules), *QUICK)
    assert result.code == 1, result.output
    assert any("HighErrorRate" in f"{k} {v}" for k, v in failed_checks(result).items())


@pytest.mark.parametrize(
    ("scenario", "options"),
    [("concept-drift", ()), ("correlation-drift", ()), ("label-shift", QUICK)],
)
def test_a_drift_is_reported_for_what_it_is(
    command_line: CommandLine, scenario: str, options: tuple[str, ...]
) -> None:
    """It is notified, and no decision stands on anything that did not move."""
    result = play(command_line, scenario, *options)
    assert result.code == 0, result.output
    assert "drift causes" in (result.out / "verdict.json").read_text()


def test_a_missing_drift_job_fails_the_verdict(command_line: CommandLine) -> None:
    """Without the drift job DataDrift never fires, and the verdict says why."""
    result = play(command_line, "covariate-drift", "--without", "drift", *QUICK)
    assert result.code == 1, result.output
    failed = failed_checks(result)
    assert any("DataDrift" in f"{k} {v}" for k, v in failed.items())
    assert any("drift job" in v for v in failed.values()), failed


def test_a_missing_collector_fails_the_verdict(command_line: CommandLine) -> None:
    """Without the Collector no telemetry arrives, and the verdict says so."""
    result = play(command_line, "normal", "--without", "collector", *QUICK)
    assert result.code == 1, result.output
    assert any("Prometheus" in v for v in failed_checks(result).values())


def test_real_data_drifts_when_shifted(command_line: CommandLine, diabetes_csv: Path) -> None:
    """On the real Pima data covariate drift is found."""
    result = play(command_line, "covariate-drift", "--data", str(diabetes_csv), "--seed", "2")
    assert result.code == 0, result.output
    assert "real data" in result.output


def test_real_data_without_shift_raises_no_drift(
    command_line: CommandLine, diabetes_csv: Path
) -> None:
    """On the real Pima data normal traffic raises nothing."""
    result = play(command_line, "normal", "--data", str(diabetes_csv), "--seed", "2")
    assert result.code == 0, result.output


def test_iris_runs_through_the_same_loop(command_line: CommandLine) -> None:
    """Another use case needs no other code."""
    result = play(command_line, "normal", "--use-case", "iris")
    assert result.code == 0, result.output
