"""Requests in flight by the API against those that the load waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.clients.prometheus import Series
from testbed.facts.answers import Answer
from testbed.facts.inflight import ACTIVE, InFlight, read_inflight
from testbed.truth import Request

if TYPE_CHECKING:
    from collections.abc import Callable

START, SECONDS = 1000.0, 30
LABELS = {"__name__": ACTIVE, "instance": "api-1", "http_route": "/predict"}


def answers(lasts: float, rate: int, status: int | None = 200) -> list[Answer]:
    """Requests at a rate, each of which takes equally long."""
    found = []
    for number in range(SECONDS * rate):
        sent = START + number / rate
        request = Request(
            f"r{number}", "p", sent, sent, sent + lasts, status, None, None, seq=number
        )
        found.append(Answer(request, "api-1", "1", None))
    return found


def in_flight(sent: list[Answer], time: float) -> int:
    """How many of them the API is at work on: it ends a little earlier than the load sees."""
    return sum(a.request.sent_at + 0.001 <= time < a.request.finished_at - 0.001 for a in sent)


def found(sent: list[Answer], change: Callable[[int], float], *, shift: float = 0.0) -> InFlight:
    """What exports of changed numbers, twice a second, come to."""
    times = [START + 0.5 * number + 0.0025 for number in range(2 * SECONDS)]
    points = tuple((time, float(change(in_flight(sent, time + shift)))) for time in times)
    other = Series(LABELS | {"http_route": "/labels"}, tuple((time, 99.0) for time in times))
    return read_inflight(sent, [Series(LABELS, points), other])


@pytest.mark.parametrize(("lasts", "rate"), [(0.004, 50), (0.7, 50), (1.5, 20), (0.1, 5)])
@pytest.mark.parametrize("shift", [0.0, 0.03, -0.03])
def test_honest_numbers_are_explained(lasts: float, rate: int, shift: float) -> None:
    """Also where their times are not exact."""
    result = found(answers(lasts, rate), lambda count: count, shift=shift)
    assert result.stray is None
    assert result.above == result.below == 0


@pytest.mark.parametrize(("lasts", "rate"), [(0.7, 50), (1.5, 20)])
def test_crowds_that_are_counted_twice_are_found(lasts: float, rate: int) -> None:
    """By a single export."""
    stray = found(answers(lasts, rate), lambda count: 2 * count).stray
    assert stray is not None
    assert stray.counted > stray.high


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_crowds_that_are_counted_too_low_are_found(factor: float) -> None:
    """By most exports: in a few, requests may have waited before the API got them."""
    result = found(answers(1.5, 20), lambda count: factor * count)
    assert result.crowds > 40
    assert result.below > 0.9 * result.crowds
    few = iter([0.0] * 10 + [1.0] * 50)
    assert found(answers(1.5, 20), lambda count: next(few) * count).below <= 10


def test_few_requests_that_are_counted_twice_are_found() -> None:
    """One at a time, and the API shows two."""
    result = found(answers(0.004, 50), lambda count: 2 * count)
    assert result.stray is None
    assert result.above == result.exports > 10


def test_requests_that_the_load_gave_up_may_go_on() -> None:
    """And need not have arrived."""
    given_up = answers(0.2, 20, status=None)
    assert found(given_up, lambda _: 0).below == 0
    assert found(given_up, lambda count: 5 * count).stray is None
