"""A finished run as a folder, with text in it that wants to break out of the report."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from testbed.charts import HTTP_COUNT, Chart, ChartLine
from testbed.evidence import load_evidence
from testbed.facts.alertspans import AlertSpan
from testbed.facts.finalcounts import Count
from testbed.facts.logcounts import LogFacts
from testbed.layout import RunLayout
from testbed.scenario import Scenario
from testbed.snapshot import LoadedRule, Snapshot
from testbed.verdict import evaluate
from testbed_otel import names

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.evidence import Evidence
    from testbed.verdict import Verdict

EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)>'
FACTOR = 30.0
SCENARIO = {
    "name": "error-burst",
    "title": f"Error burst {EVIL}",
    "description": "Errors for a while.",
    "phases": [
        {"name": "normal", "duration": "5m", "rate": 10},
        {"name": f"burst {EVIL}", "duration": "10m", "rate": 10},
    ],
    "expected_alerts": [{"alert": "HighErrorRate", "phase": f"burst {EVIL}", "within": "10m"}],
    "limits": {"error_ratio": 0.5},
}


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder, and what was made of it."""

    layout: RunLayout
    evidence: Evidence
    verdict: Verdict


@pytest.fixture
def finished(tmp_path: Path) -> FinishedRun:
    """A run that failed by an unexpected alert with an evil name."""
    layout = RunLayout(tmp_path / "run").create()
    _write_identity(layout)
    _write_truth(layout)
    _write_records(layout)
    layout.series.write_text(_snapshot().model_dump_json())
    evidence = load_evidence(layout)
    scenario = Scenario.model_validate(SCENARIO)
    return FinishedRun(layout, evidence, evaluate(scenario, evidence, FACTOR))


def _write_identity(layout: RunLayout) -> None:
    identity = {
        "id": "20260101T000000-error-burst-seed7",
        "scenario": "error-burst",
        "started": "2026-01-01T00:00:00+00:00",
        "use_case": f"diabetes {EVIL}",
        "synthetic": True,
        "model": {"name": "forest", "version": EVIL},
        "seed": 7,
        "time_scale": FACTOR,
        "version": "0.1.0",
        "packages": {"fastapi": "0.115"},
        "tools": {"prometheus": "3.15.0"},
        "machine": {"system": "Linux", "cores": 2, "memory_bytes": 8 * 2**30},
    }
    layout.run_file.write_text(json.dumps(identity))


def _write_truth(layout: RunLayout) -> None:
    (layout.truth / "start.json").write_text('{"time": 1000.0}')
    (layout.truth / "end.json").write_text('{"time": 1031.0, "requests": 300, "labels": 0}')
    with (layout.truth / "requests.jsonl").open("w") as file:
        for number in range(300):
            at = 1000 + number / 10
            failed = number >= 100 and number % 3 == 0
            record = {
                "request_id": f"r{number}",
                "phase": "normal" if number < 100 else f"burst {EVIL}",
                "scheduled_at": at,
                "sent_at": at,
                "finished_at": at + 0.02,
                "status": 500 if failed else 200,
                "error": None,
                "prediction_id": None if failed else f"p{number}",
            }
            file.write(json.dumps(record) + "\n")
    (layout.truth / "labels.jsonl").write_text("")


def _lines(path: Path, entries: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def _write_records(layout: RunLayout) -> None:
    _lines(
        layout.timeline,
        [
            {"time": 995.0, "event": "run_started", "name": "error-burst"},
            {"time": 996.0, "event": "component_started", "name": f"api {EVIL}"},
            {"time": 1000.0, "event": "phase_started", "name": "normal"},
            {"time": 1010.0, "event": "phase_ended", "name": "normal"},
            {"time": 1010.0, "event": "phase_started", "name": f"burst {EVIL}"},
            {"time": 1010.0, "event": "fault_on", "name": f"errors 30% {EVIL}"},
            {"time": 1030.0, "event": "fault_off", "name": f"burst {EVIL}"},
            {"time": 1030.0, "event": "phase_ended", "name": f"burst {EVIL}"},
            {
                "time": 1030.5,
                "event": "component_crashed",
                "name": "drift",
                "outcome": f"KILL {EVIL}",
            },
        ],
    )
    _lines(
        layout.notifications,
        [
            _notification("HighErrorRate", 1017.0, "firing"),
            _notification("HighErrorRate", 1031.0, "resolved"),
            _notification(f"Evil{EVIL}", 1020.0, "firing"),
        ],
    )
    run = {
        "time": 1025.0, "outcome": "success", "decision": "NO_ACTION", "drift_share": 0.125,
        "reasons": [f"1 of 8 columns drifted: {EVIL}"], "columns": {},
        "html": "drift_training_vs_now.html", "json": "../../javascript:alert(1).json",
    }  # fmt: skip
    _lines(layout.drift / "runs.jsonl", [run])


def _notification(alert: str, at: float, status: str) -> dict[str, Any]:
    return {
        "received_at": at, "status": status, "alertname": alert, "labels": {"alertname": alert},
        "annotations": {}, "starts_at": at - 1, "receiver": "default",
    }  # fmt: skip


def _snapshot() -> Snapshot:
    failed = sum(number >= 100 and number % 3 == 0 for number in range(300))
    counters = (
        _http(200, 300 - failed),
        _http(500, failed),
        Count(
            metric=names.PREDICTION_ERRORS.prometheus,
            labels={"error_type": "injected"},
            value=failed,
        ),
        Count(metric=names.LOG_ROWS.prometheus, labels={"outcome": "written"}, value=300 - failed),
    )
    times = [995 + step / 2 for step in range(100)]
    wave = tuple((time, 10 + math.sin(time)) for time in times)
    ratio = tuple((time, None if time < 1000 else 0.125) for time in times)
    return Snapshot(
        started_at=995.0,
        ended_at=1045.0,
        api={"api-1": counters},
        prometheus={"api-1": counters},
        spans=(
            AlertSpan(alert="HighErrorRate", labels={}, state="pending", start=1012, end=1016),
            AlertSpan(alert="HighErrorRate", labels={}, state="firing", start=1016, end=1030),
            AlertSpan(alert=f"Evil{EVIL}", labels={}, state="firing", start=1019, end=1045),
        ),
        rules=(LoadedRule(name="HighErrorRate", for_=4.0),),
        charts=(
            _chart("rate", "Request rate by status", "requests/s", {"200": wave, EVIL: wave}),
            _chart("latency", "Latency in the API", "seconds", {"p50": wave, "p95": wave}),
            _chart("errors", "Share of 5xx answers", "ratio", {"5xx": ratio}),
            _chart("active", "Active requests", "requests", {"active": wave}),
            _chart("drift", "Share of drifted columns", "ratio", {"ratio": ratio}),
            _chart("up", "Scrape targets that are up", "targets", {"ml-api": wave}),
        ),
        log=LogFacts(rows=300 - failed, labels=0),
    )


def _http(status: int, value: int) -> Count:
    labels = {
        "http_request_method": "POST",
        "http_route": "/predict",
        "http_response_status_code": str(status),
    }
    return Count(metric=HTTP_COUNT, labels=labels, value=value)


def _chart(
    key: str, title: str, unit: str, lines: dict[str, tuple[tuple[float, float | None], ...]]
) -> Chart:
    drawn = tuple(ChartLine(name=name, points=points) for name, points in lines.items())
    return Chart(key=key, title=title, unit=unit, lines=drawn)
