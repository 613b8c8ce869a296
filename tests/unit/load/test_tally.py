"""Counts for people."""

from __future__ import annotations

import pytest
from testbed_load.tally import Tally
from testbed_load.truth import ErrorKind, RequestRecord


def record(
    seconds: float, status: int | None = 200, error: ErrorKind | None = None, late: float = 0.0
) -> RequestRecord:
    """A request that took so long."""
    return RequestRecord(
        0, "r", "p", 0.0, late, late + seconds, None, 0.0, {}, 1, status, error, None, None, None
    )


def test_the_summary_names_every_outcome() -> None:
    """Answers by status, failures by kind, latency as percentiles."""
    tally = Tally()
    for milliseconds in range(1, 101):
        tally.add(record(milliseconds / 1000))
    tally.add(record(0.5, 500))
    tally.add(record(1.0, None, "timeout"))
    summary = tally.summary(missed=3)
    assert "102 (3 missed)" in summary
    assert "200: 100, 500: 1, timeout: 1" in summary
    assert "p50 51.5 ms" in summary
    assert tally.failed == 2


def test_nothing_sent_has_a_summary_too() -> None:
    """A plan that ended at once is no crash."""
    assert "sent       0" in Tally().summary(missed=0)


def test_lateness_is_reported() -> None:
    """Overload does not hide, nor the latency of those that had to wait to be sent."""
    tally = Tally()
    tally.add(record(0.1, late=2.5))
    assert tally.percentiles() == pytest.approx((2.6, 2.6, 2.6))
    assert "up to 2.5 s late" in tally.summary(missed=0)


def test_first_reason_of_each_outcome_is_shown() -> None:
    """Below what was answered, once each."""
    tally = Tally()
    tally.add(record(0.1, 422), "BMI is missing")
    tally.add(record(0.1, 422), "Age is missing")
    tally.add(record(0.1, None, "connection"), "refused")
    tally.add(record(0.1, 200))
    lines = tally.summary(0).splitlines()
    assert lines[1:4] == [
        "answered   200: 1, 422: 2, connection: 1",
        "reason     422: BMI is missing",
        "           connection: refused",
    ]


def test_an_answer_without_a_prediction_is_a_failure_too() -> None:
    """Of no request at all, none succeeded."""
    tally = Tally()
    assert tally.fail_ratio == 1.0
    tally.add(record(0.1, 200), problem="the answer is not a prediction")
    tally.add(record(0.1, 500))
    tally.add(record(0.1, 200))
    tally.add(record(0.1, 200))
    assert tally.fail_ratio == 0.5
    assert "200: the answer is not a prediction" in tally.summary(0)
