"""Shapes of the load: rates that change, and when their requests are due."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from testbed_load.arrivals import Even, Poisson, RateCurve, mean_rate, peak_rate
from testbed_load.errors import LoadError
from testbed_load.plan import LoadPhase, LoadPlan, parse_plan, plan_text
from testbed_load.schedule import Schedule, Ticket
from testbed_load.shapes import SHAPES, Shape, ShapeModel
from testbed_load.shapes.traces import read_points
from testbed_load.shapetext import parse_shape

if TYPE_CHECKING:
    from pathlib import Path

ADAPTER: TypeAdapter[ShapeModel] = TypeAdapter(Shape)
EXAMPLES: dict[str, dict[str, Any]] = {
    "ramp": {"start": 10, "end": 30},
    "steps": {"rates": [5, 10, 15]},
    "spike": {"base": 10, "peak": 100, "at": 0.5, "width": 0.1},
    "sawtooth": {"low": 0, "high": 20, "cycles": 2.5},
    "daily": {"low": 10, "high": 30, "cycles": 1.5},
    "trace": {"points": [[0, 10], [5, 30], [5, 0], [20, 0], [30, 10]]},
}
# Requests of 60 seconds: the areas below the rates.
TOTALS = {
    "ramp": 20 * 60,
    "steps": 10 * 60,
    "spike": 0.9 * 60 * 10 + 0.1 * 60 * 100,
    "sawtooth": 60 / 2.5 * (10 + 10 + 0.5 * 5),
    "daily": 20 * 60,
    "trace": 2 * (5 * 20 + 15 * 0 + 10 * 5),
}


def example(kind: str) -> ShapeModel:
    """A shape of each kind."""
    return ADAPTER.validate_python({"kind": kind, **EXAMPLES[kind]})


def rates(shape: ShapeModel, strips: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The rate in the middle of each strip of a phase, by straight lines between the knots.

    Written another way than what is tested.
    """
    knots = shape.knots()
    at = (np.arange(strips) + 0.5) / strips
    found = np.full(strips, knots[-1].rate, dtype=float)
    for one, other in pairwise(knots):
        within = (one.at <= at) & (at < other.at)
        rise = other.rate - one.rate
        found[within] = one.rate + rise * (at[within] - one.at) / (other.at - one.at or 1)
    return found


def test_every_kind_has_an_example() -> None:
    """A new kind is tested by all that follows."""
    assert set(EXAMPLES) == set(SHAPES)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_requests_are_the_area_below_the_rate(kind: str) -> None:
    """By the knots, and by a sum of narrow strips."""
    shape = example(kind)
    curve = RateCurve.of(shape.knots(), 60.0)
    strips = 60_000
    summed = rates(shape, strips).sum() * 60 / strips
    assert curve.total == pytest.approx(summed, rel=1e-3)
    assert curve.total == pytest.approx(TOTALS[kind], rel=2e-3)
    assert mean_rate(None, shape) == pytest.approx(curve.total / 60)
    assert peak_rate(None, shape) == curve.peak


@pytest.mark.parametrize("kind", EXAMPLES)
def test_request_k_is_due_when_k_are_due(kind: str) -> None:
    """Due times ascend, lie within the phase, and the area up to the k-th is k."""
    shape = example(kind)
    times = Even(RateCurve.of(shape.knots(), 60.0))
    due = [times.at(index) for index in range(times.count)]
    assert due == sorted(due)
    assert due[0] >= 0
    assert due[-1] < 60
    strips = 120_000
    areas = np.cumsum(rates(shape, strips)) * 60 / strips
    ends = np.arange(1, strips + 1) * 60 / strips
    reached = areas[np.searchsorted(ends, due)]
    assert reached == pytest.approx(np.arange(len(due)), abs=0.2)


def test_a_flat_shape_is_a_rate() -> None:
    """To the last digit: request k is due at k / rate."""
    shape = parse_shape("ramp start=7 end=7")
    flat, rate = LoadPhase("a", 3.0, None, shape=shape), LoadPhase("a", 3.0, 7.0)
    one, other = flat.due_times(1), rate.due_times(1)
    assert one is not None
    assert other is not None
    assert one.count == other.count == 21
    assert [one.at(k) for k in range(21)] == [other.at(k) for k in range(21)]


def test_a_ramp_from_nothing_begins_at_once() -> None:
    """Request 0 is due at the begin, request k after the root of k's ratio of all."""
    times = Even(RateCurve.of(parse_shape("ramp start=0 end=10").knots(), 20.0))
    assert times.count == 100
    assert [times.at(k) for k in (0, 25, 81)] == pytest.approx([0.0, 10.0, 18.0])


def test_poisson_arrivals_are_as_many_as_they_must_be() -> None:
    """Counts of 400 seeds have the mean and variance of a Poisson distribution (4 sigma each)."""
    curve = RateCurve.of(example("daily").knots(), 5.0)
    counts = [Poisson.drawn(curve, str(seed)).count for seed in range(400)]
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / (len(counts) - 1)
    assert abs(mean - curve.total) < 4 * math.sqrt(curve.total / 400)
    assert abs(variance / curve.total - 1) < 4 * math.sqrt(2 / 399)


def test_poisson_arrivals_follow_the_shape() -> None:
    """Of 20,000 arrivals of a ramp from nothing a quarter come in the first half (4 sigma)."""
    curve = RateCurve.of(parse_shape("ramp start=0 end=400").knots(), 100.0)
    times = Poisson.drawn(curve, "3").times
    early = sum(at < 50 for at in times) / len(times)
    assert abs(early - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(times))
    assert list(times) == sorted(times)


def test_poisson_arrivals_are_those_of_their_seed_and_phase() -> None:
    """Whoever makes them again gets the same."""
    phases = [LoadPhase(name, 10.0, 20.0, arrivals="poisson") for name in ("a", "a", "b")]
    drawn = [phase.due_times(1) for phase in phases] + [phases[0].due_times(2)]
    times = [[each.at(k) for k in range(5)] for each in drawn if each is not None]
    assert times[0] == times[1]
    assert times[0] != times[2]
    assert times[0] != times[3]


def test_the_schedule_hands_out_a_shape_in_order() -> None:
    """Phases of shapes and rates follow each other, and nothing is left out."""
    plan = LoadPlan(
        "run",
        1,
        "diabetes",
        (
            LoadPhase("up", 4.0, None, shape=parse_shape("ramp start=0 end=4")),
            LoadPhase("drawn", 2.0, 5.0, arrivals="poisson"),
            LoadPhase("even", 1.0, 2.0),
        ),
    )
    schedule = Schedule(plan)
    claimed = iter(lambda: schedule.claim(0.0), None)
    tickets = [each for each in claimed if isinstance(each, Ticket)]
    drawn = plan.phases[1].planned(1)
    assert drawn is not None
    assert [t.seq for t in tickets] == list(range(8 + drawn + 2))
    assert [t.due for t in tickets] == sorted(t.due for t in tickets)
    assert [t.due for t in tickets[-2:]] == [6.0, 6.5]
    assert plan.users == 10
    assert parse_plan(plan_text(plan)) == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hill", "unknown shape 'hill'; choose one of: daily, ramp"),
        ("", "unknown shape ''"),
        ("ramp start", "write a field as NAME=VALUE, not 'start', as: ramp start=10 end=100"),
        ("ramp start=1", "shape ramp: end is missing"),
        ("ramp start=1 end=x", "shape ramp: end must be a number, not 'x'"),
        ("ramp start=1 end=9 top=3", "shape ramp: unknown field: top"),
        ("ramp start=0 end=0", "the rate is 0 all the time"),
        ("steps rates=1", "shape steps: rates must be a list"),
        ("steps rates=1,-2", "or more, not '-2'"),
        ("spike base=1 peak=9 at=0.95", "at and width together must be at most 1"),
        ("daily low=1 high=6000", "high must be at most 5000"),
        ("trace file=x.csv", "a file is named by scenarios only"),
    ],
)
def test_a_wrong_shape_is_refused_by_its_field(text: str, message: str) -> None:
    """One sentence says what to change."""
    with pytest.raises(LoadError) as caught:
        parse_shape(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (
            {"rate": 5.0, "shape": {"kind": "ramp", "start": 1.0, "end": 2.0}},
            "either rate or shape",
        ),
        ({"rate": 5.0, "arrivals": "poisson", "requests": 9}, "a number of requests needs a rate"),
        ({"rate": 5000.0, "arrivals": "poisson", "duration": 86400}, "choose a shorter duration"),
    ],
)
def test_a_phase_that_contradicts_itself_is_refused(phase: dict[str, Any], message: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(LoadPhase).validate_json(json.dumps({"name": "a", "duration": 3.0, **phase}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,rate\n0,1\n", "lacks the column seconds; it needs seconds and rate"),
        ("seconds,rate\n0,1\n3\n", "line 3: seconds and rate must be numbers"),
        ("seconds,rate\n0,1\nx,2\n", "line 3: seconds and rate must be numbers"),
        ("", "lacks the column seconds"),
    ],
)
def test_a_trace_that_cannot_be_read_says_where(content: str, message: str, tmp_path: Path) -> None:
    """File and line."""
    path = tmp_path / "rates.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_points(path)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1, 5], [2, 5]], "begin at 0 and end later"),
        ([[0, 5], [2, 5], [1, 5]], "must not go back"),
        ([[0, 0], [2, 0]], "nothing would be sent"),
        ([[0, 5]], "at least 2"),
    ],
)
def test_a_trace_begins_at_zero_and_goes_on(points: list[list[float]], message: str) -> None:
    """Times that make no curve are refused."""
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python({"kind": "trace", "points": points})
