"""When Prometheus evaluated each group of rules: the times at which a replay must stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from testbed.clients.prometheus import AlertRule, Series
    from testbed.facts.sources import Sources

LAST_EVALUATION: Final = "prometheus_rule_group_last_evaluation_timestamp_seconds"
ITERATIONS: Final = "prometheus_rule_group_iterations_total"
GAP: Final = 2.5
"""Intervals between two evaluations from which on some are missing: one may escape a scrape."""

USUAL_LAG: Final = 0.1
"""Quantile of how late evaluations begin that stands for those that began at once."""


@dataclass(frozen=True, slots=True)
class Evaluations:
    """Of all groups; times are Unix seconds.

    Attributes:
        seen: group to the times at which evaluations began, so far as Prometheus scraped itself.
        counted: group to what each scrape saw: when the last evaluation began, and how many had.
        start: of the samples of any scrape, for a Prometheus that does not scrape itself.
        began: when the run did; evaluations before it are none of its own.
        end: of the run.
        restarted: whether a counter of evaluations began anew.
    """

    seen: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    counted: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    start: float = 0.0
    began: float = 0.0
    end: float = 0.0
    restarted: bool = False

    def times(self, rule: AlertRule) -> NDArray[np.float64]:
        """The times that a rule was evaluated for."""
        step = rule.interval
        seen = self.seen.get(f"{rule.file};{rule.group}")
        if seen is None or not len(seen):
            return np.arange(self.start, self.end, step, dtype=np.float64)
        # Prometheus evaluates for the times of a grid, and begins a little later.
        late = (seen - seen[0] + step / 2) % step - step / 2
        origin = float(seen[0] + np.quantile(late, USUAL_LAG))
        first = origin - step * self._before(f"{rule.file};{rule.group}", float(seen[0]), step)
        times = np.round(np.arange(first, self.end, step, dtype=np.float64), 3)
        done = np.ones(len(times), dtype=bool)
        for index in np.flatnonzero(np.diff(seen) > GAP * step).tolist():
            done &= (times < seen[index] + step / 2) | (times > seen[index + 1] - step / 2)
        return times[done & (times >= self.began)]

    def _before(self, group: str, first: float, step: float) -> int:
        """Evaluations of a group before the first that was seen.

        An evaluation is counted as it begins and its time is told as it ends: a scrape in between
        counts one more, so that one scrape alone does not say it.
        """
        counted = self.counted.get(group)
        if counted is None or not len(counted):
            return 0
        last, number = counted.T
        return max(0, int(np.median(number - 1 - np.rint((last - first) / step))))


def read_evaluations(sources: Sources) -> Evaluations:
    """Ask Prometheus what it has scraped of itself.

    Raises:
        StackError: Prometheus does not answer.
    """
    span = sources.span
    recent = {"at": span.end, "window": span.end - span.start}
    began = sources.prometheus.raw(LAST_EVALUATION, **recent)
    counts = sources.prometheus.raw(ITERATIONS, **recent)
    scrapes = sources.prometheus.raw("up", **recent)
    starts = [series.points[0][0] for series in scrapes if series.points]
    return Evaluations(
        seen={_group(series): _times(series) for series in began if series.points},
        counted=_counted(began, counts),
        start=min(starts, default=span.start),
        began=span.start,
        end=span.end,
        restarted=any(_fell(series) for series in counts),
    )


def _group(series: Series) -> str:
    return series.labels.get("rule_group", "")


def _times(series: Series) -> NDArray[np.float64]:
    # Before the first evaluation the gauge is 0 or the year 1.
    return np.unique([value for time, value in series.points if 0 < value <= time])


def _counted(began: Sequence[Series], counts: Sequence[Series]) -> dict[str, NDArray[np.float64]]:
    told = {_group(series): dict(series.points) for series in began}
    found = {}
    for series in counts:
        last = told.get(_group(series), {})
        pairs = [(last[t], n) for t, n in series.points if 0 < last.get(t, 0.0) <= t]
        found[_group(series)] = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return found


def _fell(series: Series) -> bool:
    values = [value for _, value in series.points]
    return any(after < before for before, after in pairwise(values))
