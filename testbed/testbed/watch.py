"""What is seen of a run while it goes on: counts of the load, alerts, notifications, drift."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from testbed.clients import loopback
from testbed.heartbeat import needs_nobody
from testbed.heldback import HeldBackRecorder
from testbed.layout import RunLayout
from testbed.tail import JsonLinesTail

RATE_WINDOW = 5.0  # seconds over which the shown request rate is taken
HTTP_SERVER_ERROR = 500


@dataclass(slots=True)
class WatchView:
    """The state of a run at one moment.

    Attributes:
        sent: predictions asked for so far.
        failed: of those, answered 5xx or not at all.
        rate: answered predictions per second, over the last seconds.
        p95: 95th percentile of their latency in seconds, over the same time, or None.
        alerts: name to state (``pending``, ``firing``) in Prometheus, of those on which somebody
            has to act.
        notified: alerts that the receiver was notified of, firing.
        resolved: alerts that the receiver was notified of as resolved, after firing.
        drift: the last line of the drift job, or None.
    """

    sent: int = 0
    failed: int = 0
    rate: float = 0.0
    p95: float | None = None
    alerts: dict[str, str] = field(default_factory=dict)
    notified: dict[str, float] = field(default_factory=dict)
    resolved: dict[str, float] = field(default_factory=dict)
    drift: dict[str, Any] | None = None


class LoadWatch:
    """Counts what the load has sent, from its truth.

    Args:
        truth: folder of it.
        clock: Unix seconds.
    """

    def __init__(self, truth: Path, clock: Callable[[], float]) -> None:
        self._requests = JsonLinesTail(truth / "requests.jsonl")
        self._clock = clock
        self._recent: deque[tuple[float, float]] = deque()

    def update(self, view: WatchView) -> WatchView:
        """Bring the counts of a view up to date."""
        now = self._clock()
        for line in self._requests.read():
            view.sent += 1
            if line["status"] is None or line["status"] >= HTTP_SERVER_ERROR:
                view.failed += 1
            self._recent.append((line["finished_at"], line["finished_at"] - line["sent_at"]))
        while self._recent and self._recent[0][0] < now - RATE_WINDOW:
            self._recent.popleft()
        view.rate = len(self._recent) / RATE_WINDOW
        latencies = sorted(latency for _, latency in self._recent)
        view.p95 = latencies[int(0.95 * (len(latencies) - 1))] if latencies else None
        return view


class Watch:
    """Keeps a :class:`WatchView` up to date from the run's files and from Prometheus.

    What Alertmanager holds back is recorded beside it, since nobody can ask that afterwards.

    Args:
        layout: files of the run.
        prometheus: base URL.
        clock: Unix seconds.
        alertmanager: base URL, or None where the run has none.
        heartbeats: names of alerts that always fire.
    """

    def __init__(
        self,
        layout: RunLayout,
        prometheus: str,
        clock: Callable[[], float],
        alertmanager: str | None = None,
        heartbeats: Collection[str] = (),
    ) -> None:
        self.snapshot = WatchView()
        self._load = LoadWatch(layout.truth, clock)
        self._notifications = JsonLinesTail(layout.notifications)
        self._drift = JsonLinesTail(layout.drift / "runs.jsonl")
        self._prometheus = prometheus
        self._heartbeats = heartbeats
        self._held = alertmanager and HeldBackRecorder(layout.held_back, alertmanager, clock)

    def close(self) -> None:
        """Close its connections."""
        if self._held:
            self._held.close()

    def update(self) -> WatchView:
        """Look at everything once."""
        self._load.update(self.snapshot)
        for line in self._notifications.read():
            name, at = line["alertname"], float(line["received_at"])
            if line["status"] == "firing":
                self.snapshot.notified.setdefault(name, at)
                self.snapshot.resolved.pop(name, None)
            else:
                self.snapshot.resolved[name] = at
        for line in self._drift.read():
            self.snapshot.drift = line
        self.snapshot.alerts = self._alerts()
        if self._held:
            self._held.look()
        return self.snapshot

    def _alerts(self) -> dict[str, str]:
        try:
            reply = loopback.get(f"{self._prometheus}/api/v1/alerts", timeout=1.0)
            alerts = reply.json()["data"]["alerts"]
        except (httpx.HTTPError, ValueError, KeyError):
            return self.snapshot.alerts  # keep what was seen: the verdict asks again, and strictly
        states: dict[str, str] = {}
        for alert in sorted(alerts, key=lambda a: str(a["state"]), reverse=True):
            name = alert["labels"]["alertname"]
            if name not in self._heartbeats and not needs_nobody(alert["labels"]):
                states[name] = alert["state"]
        return states
