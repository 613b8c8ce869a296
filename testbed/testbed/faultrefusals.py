"""Which faults a run can't have: what this machine does not permit, or what hits nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.componentnames import DATABASE, PIPELINE
from testbed.errors import UsageError
from testbed.stack.database import why_not

if TYPE_CHECKING:
    from testbed.scenario import Scenario
    from testbed.targets import TargetModel


def not_permitted(scenario: Scenario) -> str | None:
    """The first that this machine does not permit of a scenario, and why; None: it permits all."""
    if scenario.settings.has_database and (reason := why_not()):
        return f"it wants a database of its own: {reason}"
    for phase in scenario.phases:
        for fault in phase.faults:
            if reason := fault.permitted():
                return f"{phase.name}: the fault {fault.label} is not permitted here: {reason}"
    return None


def refuse_faults(
    scenario: Scenario, target: TargetModel, without: frozenset[str], factor: float = 1.0
) -> None:
    """Refuse a scenario with a fault that can't be.

    Args:
        scenario: what is to be played.
        target: the system under test.
        without: components that the run leaves out.
        factor: time scale of the run.

    Raises:
        UsageError: the machine or the time scale does not permit one, or the run lacks what it
            hits.
    """
    database = scenario.settings.has_database
    known = (target.name, *PIPELINE, *((DATABASE,) if database else ()))
    for phase in scenario.phases:
        for fault in phase.faults:
            if unknown := sorted(set(fault.hits or ()) - set(known)):
                raise UsageError(
                    f"{phase.name}: the fault {fault.label} hits {' and '.join(unknown)}, which "
                    f"is not a component of the run; these are {', '.join(known)}"
                )
            if reason := fault.unscaled(factor):
                raise UsageError(
                    f"{phase.name}: the fault {fault.label} can't be played at time scale "
                    f"{factor:g}: {reason}"
                )
            if gone := sorted(without.intersection(fault.hits or ())):
                raise UsageError(
                    f"{phase.name}: the fault {fault.label} needs {' and '.join(gone)}, which "
                    "--without leaves out"
                )
    if reason := not_permitted(scenario):
        raise UsageError(f"the scenario {scenario.name} can't be played: {reason}")
