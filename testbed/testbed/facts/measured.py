"""What the service measured: final series of its ``/metrics`` and their way through time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class Measured(Kept):
    """What the service measured: final series of its ``/metrics`` and their way through time."""


def read_measured(sources: Sources) -> Measured:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Measured()
