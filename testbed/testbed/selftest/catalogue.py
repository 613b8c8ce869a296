"""Defects and scenarios of the self-test by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.errors import UsageError
from testbed.resources import find_scenario
from testbed.selftest.defects import DEFECTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.selftest.defect import Defect

_SCENARIOS: Final = Path(__file__).with_name("scenarios")


def kind_of(defect: Defect) -> str:
    """The kind under which it is listed."""
    return next(kind for kind, defects in DEFECTS.items() if defect in defects)


def defect_named(name: str) -> Defect:
    """A defect by name.

    Raises:
        UsageError: there is none.
    """
    for defects in DEFECTS.values():
        for defect in defects:
            if defect.name == name:
                return defect
    raise UsageError(f"{name!r} is not a defect or a kind; see: testbed selftest --list")


def chosen(only: Iterable[str]) -> tuple[Defect, ...]:
    """The defects of kinds, or single ones, each once and in their order; all if none is named.

    Raises:
        UsageError: a name is neither.
    """
    wanted: set[str] = set()
    for name in only:
        wanted |= {each.name for each in DEFECTS.get(name) or (defect_named(name),)}
    everything = [defect for defects in DEFECTS.values() for defect in defects]
    return tuple(each for each in everything if each.name in wanted or not wanted)


def scenario_file(name: str) -> Path:
    """A scenario of the self-test, or one that ships.

    Raises:
        UsageError: there is none.
    """
    own = _SCENARIOS / f"{name}.yaml"
    return own if own.exists() else find_scenario(name)
