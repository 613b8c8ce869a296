"""The replay of a rule: pending, firing and over, as Prometheus does it."""

from __future__ import annotations

import numpy as np
import pytest
from testbed_rules.replay import RuleTiming, narrowed, replay, widened

from tests.unit.rules.conftest import line, times


def spans(pattern: str, timing: RuleTiming) -> list[tuple[float, float | None]]:
    """Start and end of the firings of a condition that holds where the pattern has an x."""
    vector = line(*(1.0 if each == "x" else float("nan") for each in pattern))
    return [(each.start, each.end) for each in replay(times(len(pattern)), (vector,), timing)]


@pytest.mark.parametrize(
    ("pattern", "for_", "keep_firing", "firings"),
    [
        ("..xx..", 0, 0, [(2.0, 4.0)]),
        ("..xxx.", 2, 0, [(4.0, 5.0)]),
        ("..xx..", 2, 0, []),
        (".xx.xxxx", 2, 0, [(6.0, None)]),
        ("xx.x....", 0, 3, [(0.0, 7.0)]),
        ("x..x", 0, 2, [(0.0, None)]),
        ("x...x", 0, 2, [(0.0, 3.0), (4.0, None)]),
        ("xxx.xx...", 2, 2, [(2.0, 8.0)]),
        ("x.....", 0, 9, [(0.0, None)]),
    ],
)
def test_for_and_keep_firing_for(
    pattern: str, for_: float, keep_firing: float, firings: list[tuple[float, float | None]]
) -> None:
    """A pause begins ``for`` anew, unless ``keep_firing_for`` bridges it."""
    assert spans(pattern, RuleTiming(for_, keep_firing)) == firings


@pytest.mark.parametrize(
    ("pattern", "older", "firings"),
    [
        ("xx..", False, []),
        ("xx..", True, [(0.0, 2.0)]),
        (".xx.", True, []),
        ("x.xxxx", True, [(0.0, 1.0), (5.0, None)]),
    ],
)
def test_what_was_so_before_the_first_time_may_fire_at_once(
    pattern: str, firings: list[tuple[float, float | None]], *, older: bool
) -> None:
    """Nobody knows since when it has been so; what begins later waits as ever."""
    vector = line(*(1.0 if each == "x" else float("nan") for each in pattern))
    found = replay(times(len(pattern)), (vector,), RuleTiming(3.0), older=older)
    assert [(each.start, each.end) for each in found] == firings


def test_a_missed_evaluation_does_not_begin_for_anew() -> None:
    """Prometheus knows of evaluations only, not of the time between them."""
    evaluated = np.array([0.0, 1.0, 5.0, 6.0])
    (firing,) = replay(evaluated, (line(1, 1, 1, 1),), RuleTiming(5.0))
    assert (firing.since, firing.start) == (0.0, 5.0)


def test_each_set_of_labels_waits_for_itself() -> None:
    """Two that take turns never fire."""
    nan = float("nan")
    vector = (line(1, 1, nan, nan, i="1"), line(nan, nan, 1, 1, i="2"))
    assert not replay(times(4), vector, RuleTiming(2.0))


def test_what_late_data_can_do() -> None:
    """Widened and narrowed are each other's mirror."""
    holds = np.array([each == "x" for each in "...xxxx..x....."])
    assert "".join("x" if each else "." for each in widened(holds, 1)) == "..xxxxxxxxx...."
    assert "".join("x" if each else "." for each in narrowed(holds, 1)) == "....xx........."
    assert widened(holds, 0) is holds
