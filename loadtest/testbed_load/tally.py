"""Counts of what came back, for the progress line and the summary; pure."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from testbed_load.truth import RequestRecord

_OK = range(200, 300)


class Tally:
    """Adds up requests as they end."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failed = 0
        self.unusable = 0
        self._reasons: dict[str, str] = {}
        self._seconds = array("d")
        self._latest = 0.0

    @property
    def sent(self) -> int:
        """Requests that ended."""
        return len(self._seconds)

    @property
    def fail_ratio(self) -> float:
        """Share of the requests that were not answered as they should be; 1 if none was sent."""
        return (self.failed + self.unusable) / self.sent if self.sent else 1.0

    def add(
        self, record: RequestRecord, reason: str | None = None, problem: str | None = None
    ) -> None:
        """Count one request.

        Args:
            record: what became of it.
            reason: what the service or the network says of its failure.
            problem: why its answer is no prediction, though its status is 2xx.
        """
        outcome = str(record.error or record.status)
        self.outcomes[outcome] += 1
        self.unusable += problem is not None
        if why := problem or reason:
            self._reasons.setdefault(outcome, why)
        self.failed += record.status not in _OK
        self._seconds.append(record.finished_at - record.scheduled_at)
        self._latest = max(self._latest, record.sent_at - record.scheduled_at)

    def percentiles(self) -> tuple[float, float, float]:
        """Seconds from when a request was due to its answer or error; 0 if none was sent.

        Not from when it was sent: where all users wait for a service that stalls, the requests
        that are due meanwhile wait, too (Tene, How NOT to Measure Latency: coordinated omission).

        Returns:
            50th, 95th and 99th percentile.
        """
        if not self._seconds:
            return 0.0, 0.0, 0.0
        p50, p95, p99 = np.percentile(np.frombuffer(self._seconds), (50, 95, 99)).tolist()
        return p50, p95, p99

    def progress(self, elapsed: float, phase: str, rate: float) -> str:
        """One line for people while the load runs; ``rate`` is requests per second just now."""
        return (
            f"load {elapsed:6.1f} s  {phase}  {rate:.1f} req/s  {self.sent} sent  "
            f"{self.failed} failed"
        )

    def summary(self, missed: int) -> str:
        """A few lines for people at the end; ``missed`` planned requests were never sent."""
        by_outcome = ", ".join(f"{name}: {n}" for name, n in sorted(self.outcomes.items()))
        p50, p95, p99 = (f"{1000 * value:.1f}" for value in self.percentiles())
        lines = [
            f"sent       {self.sent}" + (f" ({missed} missed)" if missed else ""),
            f"answered   {by_outcome or 'none'}",
            f"latency    p50 {p50} ms, p95 {p95} ms, p99 {p99} ms, from when they were due",
        ]
        lines[2:2] = [
            f"{'reason' if number == 0 else '':<10} {name}: {why}"
            for number, (name, why) in enumerate(sorted(self._reasons.items()))
        ]
        if self._latest > 1.0:
            lines.append(f"overload   up to {self._latest:.1f} s late: the service can't keep up")
        return "\n".join(lines)
