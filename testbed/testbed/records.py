"""What the components wrote down in a run, line by line, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from testbed.truth import Json, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One line of the runner's timeline."""

    time: float
    event: str
    name: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    """One alert of one notification, as the receiver got it; times are Unix seconds.

    Attributes:
        received_at: time of arrival.
        status: ``firing`` or ``resolved``.
        alert: name.
        labels: all that it bears, its name included.
        annotations: rendered.
        starts_at: since when it fires, or None.
        receiver: name of the receiver in Alertmanager.
        ends_at: since when it does not fire any more, or None.
        group_key: of the group that it was sent with.
        delivery: the same for all alerts of one webhook; None in records that don't say.
        trace: id of the trace of the flush that it is of; empty where unknown.
    """

    received_at: float
    status: str
    alert: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float | None
    receiver: str
    ends_at: float | None = None
    group_key: str = ""
    delivery: int | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """What one integration of one receiver got, as it was rendered.

    Attributes:
        received_at: Unix time of arrival.
        receiver: name of the receiver in Alertmanager.
        integration: ``slack``, ``pagerduty`` and the like.
        index: among the receiver's integrations of this kind.
        text: all that was rendered.
        status: ``firing`` or ``resolved``; empty where it does not say.
        group: hash of the group's key, or the beginning of it; empty where it does not say.
        trace: id of the trace of the flush that it is of; empty where unknown.
    """

    received_at: float
    receiver: str
    integration: str
    index: int
    text: str
    status: str = ""
    group: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class DriftRun:
    """One run of the drift job.

    Attributes:
        time: Unix time of its end.
        outcome: ``success``, ``insufficient_data`` or ``error``.
        decision: ``NO_ACTION``, ``ALERT``, ``RETRAIN`` or None.
        drift_share: share of drifted columns, or None.
        html: file name of the HTML report below the drift folder, or None.
        json: file name of the JSON report below the drift folder, or None.
        reasons: why it decided so, or why it could not.
        drifted: names of the drifted columns.
        causes: what the decision stands on.
        waited: real seconds since the end of the run before in which the job was ready to work and
            no processor was free for it; None where unknown.
    """

    time: float
    outcome: str
    decision: str | None = None
    drift_share: float | None = None
    html: str | None = None
    json: str | None = None
    reasons: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    waited: float | None = None


def read_records(path: Path, parse: Callable[[Json], T], problems: list[str]) -> list[T]:
    """Objects of a JSON Lines file; lines that can't be read become a problem."""
    # No such file means that nothing was recorded: no notification, no run of the drift job.
    records = []
    incomplete = 0
    for entry in read_lines(path, problems, required=False):
        try:
            records.append(parse(entry))
        except (KeyError, TypeError, ValueError):
            incomplete += 1
    if incomplete:
        problems.append(f"{path.name}: {incomplete} lines lack a field")
    return records


def parse_event(entry: Json) -> StoredEvent:
    """One line of the runner's timeline."""
    details = {k: v for k, v in entry.items() if k not in {"time", "event", "name"}}
    return StoredEvent(
        float(entry["time"]), str(entry["event"]), str(entry.get("name", "")), details
    )


def parse_notification(entry: Json) -> ReceivedNotification:
    """One line of the receiver's notifications."""
    received = _unix(entry["received_at"])
    if received is None:
        raise ValueError("a notification without its time of arrival")
    labels = {str(k): str(v) for k, v in entry["labels"].items()}
    return ReceivedNotification(
        received_at=received,
        status=str(entry["status"]),
        alert=str(entry.get("alertname") or labels.get("alertname", "")),
        labels=labels,
        annotations={str(k): str(v) for k, v in (entry.get("annotations") or {}).items()},
        starts_at=_unix(entry.get("starts_at")),
        receiver=str(entry.get("receiver", "")),
        ends_at=_unix(entry.get("ends_at")),
        group_key=str(entry.get("group_key", "")),
        delivery=None if entry.get("delivery") is None else int(entry["delivery"]),
        trace=str(entry.get("trace") or ""),
    )


def parse_message(entry: Json) -> ReceivedMessage:
    """One line of the receiver's messages."""
    return ReceivedMessage(
        received_at=float(entry["received_at"]),
        index=int(entry["index"]),
        **{
            key: str(entry[key])
            for key in ("receiver", "integration", "text", "status", "group", "trace")
        },
    )


def parse_drift_run(entry: Json) -> DriftRun:
    """One line of the drift job's runs."""
    time = _unix(entry["time"])
    if time is None:
        raise ValueError("a run of the drift job without its time")
    ratio, waited = entry.get("drift_share"), entry.get("waited")
    return DriftRun(
        time=time,
        outcome=str(entry["outcome"]),
        decision=entry.get("decision"),
        drift_share=None if ratio is None else float(ratio),
        html=entry.get("html"),
        json=entry.get("json"),
        reasons=tuple(map(str, entry.get("reasons") or (entry.get("message", ""),))),
        drifted=tuple(
            name for name, column in (entry.get("columns") or {}).items() if column["drifted"]
        ),
        causes=tuple(map(str, entry.get("causes") or ())),
        waited=None if waited is None else float(waited),
    )


def _unix(value: object) -> float | None:
    """Unix seconds of a number or an ISO 8601 text; Alertmanager's year 1 means never."""
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str) or not value or value.startswith("0001-"):
        return None
    return datetime.fromisoformat(value).timestamp()
