"""How alerts were routed: the configured routes, and what Alertmanager held back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class Delivery(Kept):
    """How alerts were routed: the configured routes, and what Alertmanager held back."""


def read_delivery(sources: Sources) -> Delivery:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Delivery()
