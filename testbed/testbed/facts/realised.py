"""The drift that the load realised, phase by phase, recomputed from the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class Realised(Kept):
    """The drift that the load realised, phase by phase, recomputed from the truth."""


def read_realised(sources: Sources) -> Realised:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Realised()
