"""A defect, and where the list of all is put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.stages import Stage
    from testbed.planting import Planting


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect.

    Attributes:
        name: unique.
        what: what is wrong, one sentence.
        scenario: which must notice: one that ships, or one of ``selftest/scenarios``.
        culprits: the link of the way of the data that may be named first; mostly one.
        planting: how it is planted.
    """

    name: str
    what: str
    scenario: str
    culprits: tuple[Stage, ...]
    planting: Planting
