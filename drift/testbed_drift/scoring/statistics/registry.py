"""The drift statistics that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_domain.registry import Registry

if TYPE_CHECKING:
    from testbed_drift.scoring.statistics.base import Statistic

STATISTICS: Final[Registry[type[Statistic]]] = Registry(
    "testbed.statistics", __name__.rpartition(".")[0], lambda one: one.test
)
"""Classes by the method of their test."""
register = STATISTICS.register


def statistics() -> tuple[Statistic, ...]:
    """One of each, in the order in which results name them: those of values first."""
    return tuple(one() for one in sorted(STATISTICS.values(), key=lambda one: not one.of_values))
