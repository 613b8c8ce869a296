"""What else the machine does while a benchmark runs: a round that others disturbed says little."""

from __future__ import annotations

import psutil


class Machine:
    """How much of the processors is used by anything but this process and its children."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._last = self._seconds()

    def foreign_ratio(self) -> float:
        """Share of all processor time since the last call that others had; 0 to 1.

        Children that ended in between count as others.
        """
        before, self._last = self._last, self._seconds()
        everyone, ours, total = (now - then for now, then in zip(self._last, before, strict=True))
        return max(0.0, everyone - ours) / total if total else 0.0

    def _seconds(self) -> tuple[float, float, float]:
        every = psutil.cpu_times()
        total = every.user + every.nice + every.system + every.idle + every.iowait
        total += every.irq + every.softirq + every.steal
        ours = 0.0
        for process in [self._me, *self._me.children(recursive=True)]:
            times = process.cpu_times()
            ours += times.user + times.system
        return total - every.idle - every.iowait, ours, total
