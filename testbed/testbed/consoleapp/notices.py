"""Notifications: by receiver, and how long after the alert fired each came. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from testbed.heartbeat import needs_nobody

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ROUTE: Final = re.compile(r"^(.*?):\{")
HIDDEN: Final = frozenset({"alertname", "severity"})
"""Labels that have a place of their own."""


@dataclass(frozen=True, slots=True)
class NoticeView:
    """One alert of one notification.

    Attributes:
        received_at: Unix time.
        status: ``firing`` or ``resolved``.
        alert: name.
        severity: of it.
        receiver: who was notified.
        route: of Alertmanager that led there, as its group key has it.
        labels: those without a place of their own.
        summary: what it says.
        description: what it says beside.
        runbook: link, or empty.
        delay: seconds from fired, or from over, until it arrived; None where unknown.
        repeated: whether the same receiver was notified of the same before.
    """

    received_at: float
    status: str
    alert: str
    severity: str
    receiver: str
    route: str
    labels: Mapping[str, str]
    summary: str
    description: str
    runbook: str
    delay: float | None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class ReceiverSummary:
    """What one receiver got.

    Attributes:
        receiver: name.
        firing: alerts that it was notified of as firing.
        resolved: as resolved.
        usual: median seconds from fired to notified, of the first notification of each; or None.
        longest: the longest of these.
    """

    receiver: str
    firing: int
    resolved: int
    usual: float | None
    longest: float | None


def notice_rows(lines: Iterable[Mapping[str, Any]], limit: int) -> list[NoticeView]:
    """The latest notifications on which somebody has to act, the latest first.

    Args:
        lines: of ``notifications.jsonl``, in order.
        limit: how many at most.
    """
    seen: set[tuple[Any, ...]] = set()
    rows = []
    for line in lines:
        if needs_nobody(line["labels"]):
            continue
        key = (line["receiver"], line["fingerprint"], line["status"], line["starts_at"])
        rows.append(replace(notice_row(line), repeated=key in seen))
        seen.add(key)
    return rows[: -limit - 1 : -1]


def notice_row(line: Mapping[str, Any]) -> NoticeView:
    """A line of ``notifications.jsonl``, to be shown."""
    labels, texts = line["labels"], line["annotations"]
    since = line["starts_at"] if line["status"] == "firing" else line["ends_at"]
    return NoticeView(
        received_at=line["received_at"],
        status=line["status"],
        alert=line["alertname"],
        severity=labels.get("severity", ""),
        receiver=line["receiver"],
        route=route_of(line.get("group_key", "")),
        labels={name: value for name, value in labels.items() if name not in HIDDEN},
        summary=texts.get("summary", ""),
        description=texts.get("description", ""),
        runbook=texts.get("runbook_url", ""),
        delay=None if since is None else max(0.0, line["received_at"] - since),
    )


def route_of(group_key: str) -> str:
    """The route of a group key, which is the path to it, a colon and the group's labels."""
    found = _ROUTE.match(group_key)
    return found[1] if found else group_key


def receiver_rows(lines: Iterable[Mapping[str, Any]]) -> list[ReceiverSummary]:
    """What each receiver got, by name."""
    firing: dict[str, dict[tuple[str, float], float]] = {}
    resolved: dict[str, int] = {}
    for line in lines:
        receiver = line["receiver"]
        first = firing.setdefault(receiver, {})
        if line["status"] == "resolved":
            resolved[receiver] = resolved.get(receiver, 0) + 1
        elif line["starts_at"] is not None:  # repeated ones say nothing of the delay
            key = (line["fingerprint"], line["starts_at"])
            first.setdefault(key, max(0.0, line["received_at"] - line["starts_at"]))
    return [
        ReceiverSummary(
            receiver,
            len(delays),
            resolved.get(receiver, 0),
            median(delays.values()) if delays else None,
            max(delays.values(), default=None),
        )
        for receiver, delays in sorted(firing.items())
    ]
