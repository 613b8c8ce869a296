"""From Alertmanager's webhook payload (version 4) to whole lines in a file."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from testbed_domain.linefile import LineFile, opened

SHOWN: Final = 1000
"""Notifications kept in memory for the page; the file keeps all."""

Status = Literal["firing", "resolved"]
Line = TypeVar("Line", bound=BaseModel)


class PayloadError(ValueError):
    """A body that is not a webhook of Alertmanager."""


class _Alert(BaseModel):
    status: Status
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(None, alias="endsAt")
    fingerprint: str = ""


class _Webhook(BaseModel):
    version: Literal["4"]
    group_key: str = Field(alias="groupKey")
    receiver: str
    alerts: list[_Alert]


class Notification(BaseModel):
    """One alert of one webhook: a line of ``notifications.jsonl``. Times are Unix seconds."""

    model_config = ConfigDict(frozen=True)

    received_at: float
    status: Status
    alertname: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: float
    ends_at: float | None = Field(description="None while the alert fires.")
    group_key: str
    receiver: str
    fingerprint: str
    delivery: int = Field(
        0, description="The same for all alerts of one webhook: where it begins in the file."
    )
    trace: str = Field("", description="Id of the trace of the flush that it is of, if any.")


def _unix(moment: datetime) -> float:
    return moment.timestamp()


def notifications(body: bytes, received_at: float, trace: str = "") -> list[Notification]:
    """Read a webhook's body.

    Args:
        body: JSON as Alertmanager posts it.
        received_at: Unix time of arrival.
        trace: id of its trace.

    Returns:
        One notification per alert, in the order of the body.

    Raises:
        PayloadError: the body is something else; one line that names the field.
    """
    try:
        webhook = _Webhook.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise PayloadError(
            f"not an Alertmanager webhook of version 4: {where}: {first['msg']}"
        ) from error
    return [
        Notification(
            received_at=received_at,
            status=alert.status,
            alertname=alert.labels.get("alertname", ""),
            labels=alert.labels,
            annotations=alert.annotations,
            starts_at=_unix(alert.starts_at),
            # Alertmanager gives firing alerts the year 1, or the time when they would expire.
            ends_at=_unix(alert.ends_at) if alert.ends_at and alert.status == "resolved" else None,
            group_key=webhook.group_key,
            receiver=webhook.receiver,
            fingerprint=alert.fingerprint,
            trace=trace,
        )
        for alert in webhook.alerts
    ]


class LineRecorder(LineFile, Generic[Line]):
    """Appends lines to a file, as JSON and whole, and remembers the last ones.

    Those that the file holds already are remembered as well: a restart forgets none. What is no
    such line is left to the file's reader.

    Args:
        path: file to append to; its directory is made.
        kind: of the lines.

    Raises:
        OSError: the file can't be opened.
    """

    def __init__(self, path: Path, kind: type[Line]) -> None:
        super().__init__(opened(path), own=True)
        self.recent: deque[Line] = deque(maxlen=SHOWN)
        with path.open("rb") as file:
            for line in deque(file, maxlen=SHOWN):
                with suppress(ValidationError):
                    self.recent.append(kind.model_validate_json(line))

    def add(self, *arrived: Line) -> None:
        """Append all of ``arrived`` or, if the disk refuses, none.

        Raises:
            OSError: nothing was written; the sender should try again.
        """
        self.write("".join(f"{each.model_dump_json()}\n" for each in arrived).encode())
        self.recent.extend(arrived)


class NotificationRecorder(LineRecorder[Notification]):
    """Of ``notifications.jsonl``; see the base."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Notification)

    def add(self, *arrived: Notification) -> None:
        """The alerts of one webhook; see the base."""
        delivery = self.size
        super().add(*(each.model_copy(update={"delivery": delivery}) for each in arrived))
