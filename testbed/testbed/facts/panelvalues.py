"""Values of panels, phase by phase, beside what the load did in the same stretches of time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE, StoredModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.clients.prometheus import Series
    from testbed.facts.panels import Anatomy
    from testbed.truth import Request

OK: Final = 200
BROKEN: Final = 500
ON_THE_WAY: Final = 0.25
"""Of the window: how long an answer takes to be in a sample (the window is some exports long)."""
PER_SECOND: Final = frozenset({"reqps", "cps", "ops"})
"""Grafana's names of units per second."""

Kind = Literal["requests", "answers", "errors", "drift"]


class Moves(StoredModel):
    """Values of a query over one phase, added up over its series.

    Attributes:
        phase: its name.
        mean: over the points that lie within the phase; None where there is none.
        maximum: the highest of them.
        expected: mean of the load's own rate, over the same stretches of time; of errors, how many
            of the load's failed answers these values must speak of.
    """

    phase: str
    mean: float | None
    maximum: float | None
    expected: float | None = None


def finished(requests: Sequence[Request]) -> tuple[list[float], list[float], list[float]]:
    """When answers came, in order: all of them, those with a prediction, and those with 5xx."""
    answered = sorted((r.finished_at, r.status) for r in requests if r.status is not None)
    return (
        [time for time, _ in answered],
        [time for time, status in answered if status == OK],
        [time for time, status in answered if status >= BROKEN],
    )


@dataclass(frozen=True, slots=True)
class View:
    """What values are held against, phase by phase.

    Attributes:
        phases: name, start and end.
        window: seconds that a rate looks back on.
        answered: times of all answers.
        predicted: those of predictions.
        failed: those of 5xx.
    """

    phases: Sequence[tuple[str, float, float]]
    window: float
    answered: Sequence[float]
    predicted: Sequence[float]
    failed: Sequence[float]

    def moves(self, kind: Kind, values: Mapping[float, float]) -> tuple[Moves, ...]:
        """Values of a query by phase."""
        found = []
        for name, start, end in self.phases:
            within = {time: value for time, value in values.items() if start <= time <= end}
            # Errors of which no value speaks are missing where one could.
            times = list(within) or ([end] if kind == "errors" else [])
            found.append(
                Moves(
                    phase=name,
                    mean=sum(within.values()) / len(within) if within else None,
                    maximum=max(within.values(), default=None),
                    expected=self._expected(kind, times),
                )
            )
        return tuple(found)

    def _expected(self, kind: Kind, times: Sequence[float]) -> float | None:
        """What the load saw, as rates over the same windows; of other kinds there is nothing."""
        if kind == "errors":
            return float(self._known_errors(times))
        if kind not in {"requests", "answers"} or not times:
            return None
        ends = self.answered if kind == "requests" else self.predicted
        counts = (bisect_right(ends, t) - bisect_right(ends, t - self.window) for t in times)
        return sum(counts) / self.window / len(times)

    def _known_errors(self, times: Sequence[float]) -> int:
        """How many failed answers are an increase between two samples of one of the windows.

        The last ones before a value are still on their way, and the first ones of a run are in the
        first sample of their series, from which no rate can tell them.
        """
        if not self.failed:
            return 0
        way, told = ON_THE_WAY * self.window, 0
        known = self.failed[0] + way
        for time in sorted(times):
            after, known = max(known, time - self.window + way), max(known, time - way)
            told += bisect_right(self.failed, known) - bisect_right(self.failed, after)
        return told


def kind_of(parts: Anatomy, result: Sequence[Series], units: set[str]) -> tuple[Kind | None, bool]:
    """What the values of a query can be held against, and whether they speak of predictions only.

    Only what is unmistakable is: everything else is a matter of taste.
    """
    route, status = names.label(names.HTTP_ROUTE), names.label(names.HTTP_STATUS)
    error = names.label(names.ERROR_TYPE)
    alone = len(parts.selectors) == 1 and not parts.filters
    rate = alone and (parts.plain or (parts.additive and bool(units & PER_SECOND)))
    for selector in parts.selectors:
        takes = {m.label: m.matches for m in selector.matchers}
        free = set(takes) <= {"job", "instance", "model_version"}
        if selector.metric == HTTP_COUNT and selector.rated:
            fails = status in takes and takes[status]("500") and not takes[status]("200")
            if fails:
                return "errors", False
            if rate and free:
                return "requests", any(route in series.labels for series in result)
        if selector.metric == names.PREDICTION_ERRORS.prometheus and error not in takes:
            return "errors", False
        if selector.metric == names.PREDICTIONS.prometheus and selector.rated and rate and free:
            return "answers", True
        if selector.metric == names.DRIFT_RATIO.prometheus and free and not parts.filters:
            return "drift", True
    return None, True


def shown(kind: Kind, result: Sequence[Series], *, whole: bool) -> dict[float, float]:
    """Value by time: of a share the highest, of all else the sum, over the series."""
    route = names.label(names.HTTP_ROUTE)
    values: defaultdict[float, list[float]] = defaultdict(list)
    for series in result:
        if kind == "requests" and whole and series.labels.get(route) != PREDICT_ROUTE:
            continue
        for time, value in series.points:
            if math.isfinite(value):
                values[time].append(value)
    join = max if kind == "drift" else sum
    return {time: join(found) for time, found in values.items()}
