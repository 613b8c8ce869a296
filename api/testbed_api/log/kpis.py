"""Business figures: what decisions cost, counted as their labels are stored.

A label meets its prediction in the log only, whichever replica made it and however long ago. So the
figures are counted in the writer's thread, by a log that looks the predictions up once their labels
are durable. Labels that came twice, or belong to no prediction, count nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from testbed_domain.errors import DomainError
from testbed_otel import names
from testbed_otel.sdk import counter

from testbed_api.log.sink import LogDecorator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.metrics import Meter
    from testbed_domain.artefact import Artefact

    from testbed_api.log.labels import LabelOutcome
    from testbed_api.log.sink import Label, LogSink

logger = logging.getLogger(__name__)


class DecisionCounter(Protocol):
    """Counts something of decisions whose label has come."""

    def count(self, decisions: Sequence[tuple[str, str, str]]) -> None:
        """Add decisions, each ``(model version, predicted class, true class)``."""


class Costs:
    """The counter of the use case's figures; each begins at 0.

    Args:
        meter: makes the counter.
        artefact: whose schema says what is counted.
    """

    def __init__(self, meter: Meter, artefact: Artefact) -> None:
        self._kpis = {
            kpi.name: {(str(predicted), str(true)): cost for predicted, true, cost in kpi.costs}
            for kpi in artefact.schema.kpis
        }
        self._counter = counter(meter, names.BUSINESS_COST) if self._kpis else None
        self._add(artefact.version, dict.fromkeys(self._kpis, 0.0))

    def __bool__(self) -> bool:
        return bool(self._kpis)

    def count(self, decisions: Sequence[tuple[str, str, str]]) -> None:
        """Add what decisions cost, each ``(model version, predicted class, true class)``."""
        sums: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        for version, predicted, true in decisions:
            for name, costs in self._kpis.items():
                sums[version][name] += costs.get((predicted, true), 0.0)
        for version, amounts in sums.items():
            self._add(version, amounts)

    def _add(self, version: str, amounts: Mapping[str, float]) -> None:
        if self._counter is not None:
            for name, amount in amounts.items():
                self._counter.add(amount, {names.MODEL_VERSION: version, names.KPI: name})


class CountingLog(LogDecorator):
    """A sink that has decisions counted as their labels are stored.

    Args:
        sink: stores them.
        decisions: the log's: model version and predicted class of each id that it knows.
        counters: are notified of each decision once; what is false counts nothing.
    """

    def __init__(
        self,
        sink: LogSink,
        decisions: Callable[[Sequence[str]], Mapping[str, tuple[str, str]]],
        *counters: DecisionCounter,
    ) -> None:
        super().__init__(sink)
        self._decisions = decisions
        self._counters = [each for each in counters if each]

    def append_labels(self, items: Sequence[Label]) -> list[LabelOutcome]:
        """See :class:`testbed_api.log.sink.LogSink`."""
        outcomes = super().append_labels(items)
        stored = {
            item[0]: item[1]
            for item, outcome in zip(items, outcomes, strict=True)
            if outcome == "stored"
        }
        if stored and self._counters:
            try:
                made = self._decisions(list(stored))
            except DomainError as error:  # the labels are stored all the same
                logger.error("%d decisions with labels are not counted: %s", len(stored), error)  # noqa: TRY400 - expected: one line
            else:
                decisions = [(*made[key], stored[key]) for key in stored if key in made]
                for each in self._counters:
                    each.count(decisions)
        return outcomes
