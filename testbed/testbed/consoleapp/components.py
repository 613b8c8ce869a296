"""What became of each component, from the events of the timeline. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STATES: Final = {
    "component_started": "starting",
    "component_ready": "ready",
    "component_stopped": "stopped",
    "component_crashed": "crashed",
    "component_gone": "gone",
    "component_back": "ready",
}
"""Event to what it makes of its component."""

GOOD: Final = "ready"


@dataclass(frozen=True, slots=True)
class ComponentState:
    """One component.

    Attributes:
        name: of it.
        state: ``starting``, ``ready``, ``stopped``, ``crashed`` or ``gone``.
        since: Unix time of the event that made it so.
        pid: its process id; None where unknown.
        scraped: ``up`` or ``down``, as Prometheus sees it; empty where it is not scraped.
        detail: how it ended, in words.
    """

    name: str
    state: str
    since: float
    pid: int | None = None
    scraped: str = ""
    detail: str = ""

    @property
    def well(self) -> bool:
        """Whether it does its work, as far as is known."""
        return self.state == GOOD and self.scraped != "down"


def component_rows(
    events: Iterable[Mapping[str, Any]],
    pids: Mapping[str, int],
    scraped: Mapping[str, str],
) -> list[ComponentState]:
    """The components in the order of their first start.

    Args:
        events: lines of the timeline, in order.
        pids: component to process id.
        scraped: component to ``up`` or ``down``.
    """
    rows: dict[str, ComponentState] = {}
    for event in events:
        if (state := STATES.get(event["event"])) is not None:
            name = event["name"]
            rows[name] = ComponentState(
                name,
                state,
                event["time"],
                event.get("pid") or pids.get(name),
                scraped.get(name, ""),
                event.get("outcome", ""),
            )
    return list(rows.values())
