"""What Prometheus holds of the drift job, against what the job wrote down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class Published(Kept):
    """What Prometheus holds of the drift job, against what the job wrote down."""


def read_published(sources: Sources) -> Published:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Published()
