"""Whether a peer gets on: at least so many bytes in each period."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class BytePace:
    """Watches a number of bytes that grows.

    Args:
        seconds: of a period.
        rate: bytes per second below which a peer is too slow.
        now: when the first period begins, by a clock that never goes back.
        moved: bytes by then.
    """

    __slots__ = ("_moved", "_rate", "_seconds", "_since")

    def __init__(self, seconds: float, rate: float, now: float, moved: int = 0) -> None:
        self._seconds = seconds
        self._rate = rate
        self._since = now
        self._moved = moved

    def restart(self, now: float, moved: int) -> None:
        """Begin a new period: what was until now was not the peer's fault."""
        self._since, self._moved = now, moved

    def late(self, now: float, moved: int) -> bool:
        """Whether a period is over in which fewer bytes moved than the rate wants.

        Args:
            now: the time.
            moved: bytes since the beginning.
        """
        waited = now - self._since
        if waited <= self._seconds:
            return False
        if moved - self._moved < self._rate * waited:
            return True
        self.restart(now, moved)
        return False


class Writing:
    """Watches whether a client takes what is written to it.

    Args:
        transport: to the client.
        seconds: of a period.
        rate: bytes per second below which it is too slow.
    """

    __slots__ = ("_pace", "_rate", "_seconds", "_since", "_size", "_start", "_transport")

    def __init__(self, transport: asyncio.WriteTransport, seconds: float, rate: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._rate = rate
        self._pace: BytePace | None = None  # while the application waits for the client
        self._start = 0
        self._size = 0
        self._since = 0.0

    def resumed(self) -> None:
        """Take note that the client has taken most of what waited."""
        self._pace = None

    def late(self, now: float, *, paused: bool) -> bool:
        """Whether it takes too long; to be called now and then.

        Args:
            now: the time.
            paused: whether nothing is written, because too much waits already.
        """
        size = self._transport.get_write_buffer_size()
        if not size:
            self._pace, self._size = None, 0
            return False
        if paused:
            if self._pace is None or size > self._start:
                self._pace, self._start = BytePace(self._seconds, self._rate, now), size
            return self._pace.late(now, self._start - size)
        # More may be written at any time, so only standing still is a sign.
        self._pace = None
        if size != self._size:
            self._size, self._since = size, now
        return now - self._since > self._seconds
