"""The scenario that a caller names: read, and executing nothing that its reader does not trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.resources import find_scenario, scenario_files
from testbed.scenario import read_scenario
from testbed.trust import check_scenario

if TYPE_CHECKING:
    from testbed.scenario import Scenario


def chosen_scenario(name: str, *, other_service: bool = False) -> Scenario:
    """Read it.

    Args:
        name: of a scenario that ships, or its file.
        other_service: its caller chose another service than its own.

    Raises:
        UsageError: there is none, it breaks the schema, or it is not trusted; says how to trust it.
    """
    path = find_scenario(name)
    scenario = read_scenario(path)
    if name not in scenario_files():
        check_scenario(path, scenario, other_service=other_service)
    return scenario
