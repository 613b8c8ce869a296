"""The whole loop for real: faults are notified and resolve, and cost no telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .playing import play, telemetry_hops
from .tour import write_tour

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.commandline import CommandLine


# Of the API, of Prometheus, and of both: no two that follow each other provoke the same alert. What
# breaks Prometheus and what slows the model down leave each other alone, and are played at a time.
TOUR = ("model-lost", ("latency-margin", "prometheus-broken"), "error-burst", "api-outage")


pytestmark = pytest.mark.long  # `make scenarios` plays these, and all others


@pytest.mark.timeout(1500)  # three minutes and a half; twice where it was too slow
def test_faults_fire_and_resolve(command_line: CommandLine, tmp_path: Path) -> None:
    """Each fault is notified in time, and as resolved after it; `make scenarios` plays the others.

    The scenarios follow each other on one stack: a fault that leaves anything behind is found, too.
    """
    tour = tmp_path / "tour.yaml"
    write_tour(tour, TOUR)
    result = play(command_line, str(tour), timeout=700)
    assert result.code == 0, result.output


def test_rows_are_spooled_then_dropped(command_line: CommandLine) -> None:
    """Both are notified, and resolve; this scenario has settings of its own."""
    result = play(command_line, "log-spooling")
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
