"""The links of the way of the data, in order: a broken one makes those behind it fail, too."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.checks.results import CheckResult


class Stage(StrEnum):
    """A link that can break, in the order in which data passes it.

    The values are what people read. Two ways meet at the rules: measurements go service,
    instrument, export, Collector, Prometheus; predictions go prediction log, drift job, published
    scores. The log stands before the instruments because the drift job reads it.
    """

    LOAD = "load"
    SERVICE = "service"
    LOG = "prediction log"
    DRIFT_JOB = "drift job"
    INSTRUMENT = "instrument"
    PUBLISHED = "published drift scores"
    EXPORT = "export"
    COLLECTOR = "Collector"
    PROMETHEUS = "Prometheus"
    DASHBOARD = "dashboard"
    RULE = "rule"
    ROUTE = "route"
    RECEIVER = "receiver"
    EVIDENCE = "evidence"

    @property
    def place(self) -> int:
        """Number of the link, from 0."""
        return list(Stage).index(self)


def along_the_way(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """The results in the order of their links; the order within a link stays."""
    return tuple(sorted(results, key=lambda result: result.stage.place))
