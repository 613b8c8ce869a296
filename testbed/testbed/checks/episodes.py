"""Episodes of alerts: notifications joined from the first to that of the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.records import ReceivedNotification
    from testbed.scenario import ExpectedAlert


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert from its first notification to that of its end; times are Unix seconds.

    Attributes:
        alert: name of the alert.
        began: when Prometheus started it, so far as the notification says.
        notified_at: arrival of the first notification.
        resolved_at: arrival of the notification that it is over, or None.
        labels: of the alert.
    """

    alert: str
    began: float
    notified_at: float
    resolved_at: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def episodes(notifications: Iterable[ReceivedNotification]) -> tuple[Episode, ...]:
    """Join notifications to episodes; repeats, and copies to other receivers, belong to one."""
    running: dict[frozenset[tuple[str, str]], Episode] = {}
    ended: list[Episode] = []
    for item in sorted(notifications, key=lambda n: n.received_at):
        identity = frozenset(item.labels.items())
        if item.status == "firing" and identity not in running:
            started = item.received_at if item.starts_at is None else item.starts_at
            began = min(started, item.received_at)
            running[identity] = Episode(
                item.alert, began, item.received_at, labels=dict(item.labels)
            )
        elif item.status == "resolved" and identity in running:
            ended.append(replace(running.pop(identity), resolved_at=item.received_at))
    return tuple(sorted([*ended, *running.values()], key=lambda e: e.notified_at))


def bears(labels: Mapping[str, str], item: ExpectedAlert) -> bool:
    """Whether an alert with these labels is the one that is expected."""
    return item.labels.items() <= labels.items()
