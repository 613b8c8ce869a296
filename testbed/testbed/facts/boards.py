"""Every panel query of every dashboard, run on the Prometheus of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class Boards(Kept):
    """Every panel query of every dashboard, run on the Prometheus of the run."""


def read_boards(sources: Sources) -> Boards:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Boards()
