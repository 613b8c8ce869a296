"""A small client of Alertmanager's HTTP API (v2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        body = self._json("GET", "/api/v2/alerts")
        if not isinstance(body, list):
            raise StackError(f"{self.base_url} does not answer like Alertmanager")
        return [
            ManagedAlert(
                labels=item["labels"],
                annotations=item["annotations"],
                state=item["status"]["state"],
                starts_at=item["startsAt"],
                ends_at=item["endsAt"],
                receivers=tuple(receiver["name"] for receiver in item["receivers"]),
                fingerprint=item.get("fingerprint", ""),
                inhibited_by=tuple(item["status"].get("inhibitedBy") or ()),
                silenced_by=tuple(item["status"].get("silencedBy") or ()),
                muted_by=tuple(item["status"].get("mutedBy") or ()),
            )
            for item in body
        ]

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
