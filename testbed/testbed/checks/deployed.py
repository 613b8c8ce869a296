"""What faults deployed in the place of the run's own rules and routes, and rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case


def other_rules(case: Case) -> frozenset[str]:
    """Names of the rules that were others for a while, by what Prometheus had loaded."""
    ended = (event for event in case.evidence.timeline if event.event == "fault_off")
    return frozenset(str(name) for event in ended for name in event.details.get("rules", ()))


def other_routes(case: Case, start: float, end: float) -> bool:
    """Whether Alertmanager had other routes at some time within a span."""
    return any(since < end and until > start for since, until in _replaced(case))


def _replaced(case: Case) -> Iterator[tuple[float, float]]:
    since: dict[str, float] = {}
    for event in case.evidence.timeline:
        if event.event == "fault_on":
            since[event.name] = event.time
        elif event.event == "fault_off" and "routes" in event.details:
            yield since.get(event.name, event.time), event.time
