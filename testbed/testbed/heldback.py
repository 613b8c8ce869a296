"""What Alertmanager holds back while a run goes on, and by whom: recorded whenever it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict
from testbed_domain.linefile import append_json

from testbed.clients.alertmanager import AlertmanagerClient, ManagedAlert
from testbed.errors import StackError

TIMEOUT = 1.0  # seconds: it is asked again soon, and the run waits meanwhile
SUPPRESSED = "suppressed"

Reason = Literal["inhibited", "silenced", "muted", "unknown"]


class HeldAlert(BaseModel):
    """An alert that is held back for one reason.

    Attributes:
        labels: of the alert.
        kind: what holds it back.
        by: labels of the inhibiting alert, id of the silence, or name of the time interval.
    """

    model_config = ConfigDict(frozen=True)

    labels: dict[str, str]
    kind: Reason
    by: str = ""


class HeldBack(BaseModel):
    """All that is held back from a Unix time on: a line of ``held-back.jsonl``."""

    model_config = ConfigDict(frozen=True)

    time: float
    held: tuple[HeldAlert, ...] = ()


def held_back(alerts: Iterable[ManagedAlert]) -> tuple[HeldAlert, ...]:
    """What is held back of the alerts that Alertmanager holds."""
    alerts = tuple(alerts)
    known = {alert.fingerprint: alert for alert in alerts}
    found: set[tuple[str, Reason, str]] = set()
    for alert in alerts:
        reasons: list[tuple[Reason, str]] = [
            *(("inhibited", _named(known.get(each), each)) for each in alert.inhibited_by),
            *(("silenced", each) for each in alert.silenced_by),
            *(("muted", each) for each in alert.muted_by),
        ]
        if alert.state == SUPPRESSED and not reasons:
            reasons.append(("unknown", ""))
        found |= {(alert.fingerprint, kind, by) for kind, by in reasons}
    return tuple(
        HeldAlert(labels=dict(known[fingerprint].labels), kind=kind, by=by)
        for fingerprint, kind, by in sorted(found)
    )


def described(labels: dict[str, str]) -> str:
    """An alert as people write it: its name and its other labels."""
    rest = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "alertname")
    return f"{labels.get('alertname', '')}{{{rest}}}"


class HeldBackRecorder:
    """Asks Alertmanager what it holds back, and appends a line when that has changed.

    The first answer is written in any case: an empty line says that one looked.

    Args:
        path: file to append to.
        url: base URL of Alertmanager.
        clock: Unix seconds.
    """

    def __init__(self, path: Path, url: str, clock: Callable[[], float]) -> None:
        self._path = path
        self._client = AlertmanagerClient(url, timeout=TIMEOUT)
        self._clock = clock
        self._last: tuple[HeldAlert, ...] | None = None

    def close(self) -> None:
        """Close its connection."""
        self._client.close()

    def look(self) -> None:
        """Look once; an Alertmanager that does not answer is asked again next time."""
        try:
            held = held_back(self._client.grouped_alerts())
        except StackError:
            return
        if held != self._last:
            self._last = held
            line = HeldBack(time=self._clock(), held=held).model_dump(mode="json")
            append_json(self._path, line)


def _named(source: ManagedAlert | None, fingerprint: str) -> str:
    return described(dict(source.labels)) if source else f"the alert {fingerprint}"
