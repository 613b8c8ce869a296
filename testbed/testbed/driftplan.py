"""Which windows the drift job of a run evaluates, and the level that they share. Pure.

A run has one level for all its decisions: it is shared out among the windows that the scenario's
load will fill. Windows are cut by rows, so that the same seed evaluates the same rows whatever the
speed of the machine (docs/decisions/0009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from testbed.scenario import Scenario

RUN_LEVEL: Final = 0.001
"""Chance that a run without drift has a decision but NO_ACTION, over all its windows."""
WINDOW: Final = 900.0
"""Production seconds of a window."""
INTERVAL: Final = 300.0
"""Production seconds from one run of the job to the next at the latest."""
EVERY: Final = 0.8
"""Distance of two windows in intervals: a full one must not wait for the next turn."""
SLACK: Final = 1.0
"""Real seconds after a label is due, for the load's batches and the log's commits."""
MAX_ROWS: Final = 5000
SMALLEST_STEP: Final = 0.25
"""Least distance of two windows, in windows, where the load is slow."""


@dataclass(frozen=True, slots=True)
class DriftPlan:
    """What the drift job of a run is given.

    Attributes:
        windows: how many windows the load can fill at most.
        rows: rows of a window; the first ones hold fewer. None: windows of time.
        every: rows from the end of one window to that of the next.
        lag: real seconds that a row must be old to be evaluated.
    """

    windows: int
    rows: int | None = None
    every: int | None = None
    lag: float = 0.0

    @property
    def level(self) -> float:
        """Chance of an action in a window without drift."""
        return RUN_LEVEL / self.windows


def drift_plan(scenario: Scenario, factor: float, min_rows: int) -> DriftPlan:
    """The windows of a scenario.

    Labels that come later than a window lasts would be in none that is cut by rows, and of closed
    users nobody knows how many rows they send: then windows are of time, as outside of runs, and
    each run of the job evaluates what has come by then.

    Args:
        scenario: what is played.
        factor: production seconds per real second.
        min_rows: fewest rows of a window.
    """
    late = scenario.labels.ratio and scenario.labels.delay > WINDOW
    if late or any(phase.closed for phase in scenario.phases):
        lasts = scenario.duration + scenario.settle + WINDOW
        return DriftPlan(math.ceil(lasts / INTERVAL) + 1)
    planned = scenario.planned_requests(factor)
    rate = planned * factor / scenario.duration
    rows = min(max(round(rate * WINDOW / factor), min_rows), MAX_ROWS)
    every = max(round(rate * EVERY * INTERVAL / factor), round(rows * SMALLEST_STEP), 1)
    delay = scenario.labels.delay / factor if scenario.labels.ratio else 0.0
    return DriftPlan(max(1, int(planned // every)), rows, every, delay + SLACK)
