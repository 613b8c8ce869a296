"""Spans and log records that arrived behind the Collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class Signals(Kept):
    """Spans and log records that arrived behind the Collector."""


def read_signals(sources: Sources) -> Signals:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Signals()
