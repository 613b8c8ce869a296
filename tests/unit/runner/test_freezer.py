"""How long a component may run between two freezes."""

from __future__ import annotations

import pytest
from testbed.faults.rig.freezer import PERIOD, rest


@pytest.mark.parametrize("duty", [0.1, 0.5, 0.9])
def test_a_machine_in_time_gives_the_planned_freedom(duty: float) -> None:
    """After each freeze of its part of a period."""
    assert rest(duty * PERIOD, duty * PERIOD, duty) == pytest.approx((1 - duty) * PERIOD)


@pytest.mark.parametrize("late", [0.02, 0.05, 0.1])
def test_the_ratio_holds_where_each_freeze_costs_time(late: float) -> None:
    """What looking at the processes took is taken off the freedom."""
    frozen = lasted = 0.0
    for _ in range(40):
        frozen += 0.5 * PERIOD
        lasted += 0.5 * PERIOD + late
        lasted += rest(frozen, lasted, 0.5)
    assert frozen / lasted == pytest.approx(0.5, abs=0.01)


def test_some_freedom_is_left_however_late_it_is() -> None:
    """The component goes on, if slowly."""
    assert 0 < rest(0.1, 60.0, 0.5) < 0.1 * PERIOD
