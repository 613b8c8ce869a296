"""Defects that are one function called in a component's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.planting import Planting
from testbed.selftest.defect import Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.checks.stages import Stage


def patched(component: str, home: str, scenario: str, *culprits: Stage) -> Callable[..., Defect]:
    """Make defects of one component.

    Args:
        component: whose process is patched.
        home: module of :mod:`testbed.selftest.patches`.
        scenario: which must notice.
        culprits: links that may be named first.
    """

    def make(
        function: str,
        what: str,
        *named: Stage,
        scenario: str = scenario,
        processes: int = 1,
        check: str | None = None,
    ) -> Defect:
        target = f"testbed.selftest.patches.{home}:{function}"
        return Defect(
            name=f"{home}-{function.replace('_', '-')}",
            what=what,
            scenario=scenario,
            culprits=named or culprits,
            planting=Planting(patches={component: target}),
            processes=processes,
            check=check,
        )

    return make
