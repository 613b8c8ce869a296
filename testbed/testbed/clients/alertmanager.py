"""A small client of Alertmanager's HTTP API (v2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.clients.base import Client
from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ManagedAlert:
    """An alert that Alertmanager holds.

    Attributes:
        labels: label name to value.
        annotations: annotation name to text.
        state: ``active``, ``suppressed`` or ``unprocessed``.
        starts_at: RFC 3339.
        ends_at: RFC 3339.
        receivers: names of the receivers that it is routed to.
        fingerprint: by which others name it.
        inhibited_by: fingerprints of the alerts that inhibit it.
        silenced_by: ids of the silences that hold it back.
        muted_by: names of the time intervals that hold it back.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    starts_at: str
    ends_at: str
    receivers: tuple[str, ...]
    fingerprint: str = ""
    inhibited_by: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()
    muted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertmanagerStatus:
    """Version, uptime and state of the cluster."""

    version: str
    started_at: str
    cluster: str


class AlertmanagerClient(Client):
    """Asks one Alertmanager; every method raises :class:`StackError` where it can't."""

    name = "Alertmanager"

    def alerts(self) -> list[ManagedAlert]:
        """The alerts that it holds now."""
        return [_alert(item) for item in self._list("/api/v2/alerts")]

    def grouped_alerts(self) -> list[ManagedAlert]:
        """The alerts of each group: one that is in several stands there as often.

        Only here Alertmanager says which time intervals mute an alert.
        """
        groups = self._list("/api/v2/alerts/groups")
        return [_alert(item) for group in groups for item in group["alerts"]]

    def _list(self, path: str) -> list[dict[str, Any]]:
        body = self._json("GET", path)
        if not isinstance(body, list):
            raise StackError(f"{self.base_url} does not answer like Alertmanager")
        return body

    def status(self) -> AlertmanagerStatus:
        """What it says of itself."""
        body = self._json("GET", "/api/v2/status")
        if not isinstance(body, dict) or "versionInfo" not in body:
            raise StackError(f"{self.base_url} does not answer like Alertmanager")
        return AlertmanagerStatus(
            version=body["versionInfo"].get("version", ""),
            started_at=body["uptime"],
            cluster=body["cluster"]["status"],
        )


def _alert(item: dict[str, Any]) -> ManagedAlert:
    status = item["status"]
    return ManagedAlert(
        labels=item["labels"],
        annotations=item["annotations"],
        state=status["state"],
        starts_at=item["startsAt"],
        ends_at=item["endsAt"],
        receivers=tuple(receiver["name"] for receiver in item["receivers"]),
        fingerprint=item.get("fingerprint", ""),
        inhibited_by=tuple(status.get("inhibitedBy") or ()),
        silenced_by=tuple(status.get("silencedBy") or ()),
        muted_by=tuple(status.get("mutedBy") or ()),
    )
