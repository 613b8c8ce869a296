"""Whether rules were loaded, healthy and evaluated at their interval, and scrapes without holes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class RuleHealth(Kept):
    """Whether rules were loaded, healthy, evaluated at their interval; scrapes without holes."""


def read_rulehealth(sources: Sources) -> RuleHealth:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return RuleHealth()
