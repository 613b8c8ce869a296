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
PER_SECOND: Final = frozenset({"reqps", "cps", "ops"})
"""Grafana's names of units per second."""

Kind = Literal["requests", "answers", "errors", "drift"]


class Moves(StoredModel):
    """Values of a query over one phase, added up over its series.

    Attributes:
        phase: its name.
        mean: over the points that lie within the phase; None where there is none.
        maximum: the highest of them.
        expected: mean of the load's own rate, over the same stretches of time.
    """

    phase: str
    mean: float | None
    maximum: float | None
    expected: float | None = None


def finished(requests: Sequence[Request]) -> tuple[list[float], list[float]]:
    """When answers came, in order: all of them, and those with a prediction."""
    answered = [r for r in requests if r.status is not None]
    return (
        sorted(r.finished_at for r in answered),
        sorted(r.finished_at for r in answered if r.status == OK),
    )


@dataclass(frozen=True, slots=True)
class View:
    """What values are held against, phase by phase.

    Attributes:
        phases: name, start and end.
        window: seconds that a rate looks back on.
        answered: times of all answers.
        predicted: those of predictions.
    """

    phases: Sequence[tuple[str, float, float]]
    window: float
    answered: Sequence[float]
    predicted: Sequence[float]

    def moves(self, kind: Kind, values: Mapping[float, float]) -> tuple[Moves, ...]:
        """Values of a query by phase."""
        found = []
        for name, start, end in self.phases:
            within = {time: value for time, value in values.items() if start <= time <= end}
            found.append(
                Moves(
                    phase=name,
                    mean=sum(within.values()) / len(within) if within else None,
                    maximum=max(within.values(), default=None),
                    expected=self._expected(kind, list(within)),
                )
            )
        return tuple(found)

    def _expected(self, kind: Kind, times: Sequence[float]) -> float | None:
        """The load's own rate, as rates over the same windows; of other kinds there is none."""
        if kind not in {"requests", "answers"} or not times:
            return None
        ends = self.answered if kind == "requests" else self.predicted
        counts = (bisect_right(ends, t) - bisect_right(ends, t - self.window) for t in times)
        return sum(counts) / self.window / len(times)


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
