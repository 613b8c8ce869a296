"""A defect, and where the list of all is put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.planting import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.checks.stages import Stage
    from testbed.planting import Planting
    from testbed.runoptions import RunOptions


def nothing(options: RunOptions, _folder: Path) -> RunOptions:
    """Of a run of what ships."""
    return options


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect.

    Attributes:
        name: unique.
        what: what is wrong, one sentence.
        scenario: which must notice: one that ships, or one of ``selftest/scenarios``.
        culprits: the link of the way of the data that may be named first; mostly one.
        planting: how it is planted.
        brings: gives the options of a run whose user brings something of their own, with the
            mistake that is in it; gets a folder to write it into.
        processes: that send the load.
        refused: words with which the run is refused before its load, in place of a verdict.
        check: name of the one that it is for, which must be among the failed ones.
    """

    name: str
    what: str
    scenario: str
    culprits: tuple[Stage, ...]
    planting: Planting = NOTHING
    brings: Callable[[RunOptions, Path], RunOptions] = nothing
    processes: int = 1
    refused: str | None = None
    check: str | None = None
