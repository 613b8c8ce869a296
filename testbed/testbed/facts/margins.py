"""How far each alert was from its limit, and which mutants of its rule would pass, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class Margins(Kept):
    """How far each alert was from its limit, and which mutants of its rule would pass, too."""


def read_margins(sources: Sources) -> Margins:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Margins()
