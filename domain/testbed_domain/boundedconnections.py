"""HTTP connections with bounds, for servers that only few clients should ask.

uvicorn waits for the rest of a request, and for a client that does not read its answer, for as long
as it takes, and takes any number of connections. Here a connection that stands still is cut off,
and one too many is closed at once, so that whoever holds many can't keep others out for long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class Bounds:
    """What clients may take.

    Attributes:
        request_seconds: in which a request must have come whole, from the connection or from its
            first byte.
        answer_seconds: in which its answer must have been made and taken.
        head_bytes: of request line and headers.
        connections: at a time.
    """

    request_seconds: float = 15.0
    answer_seconds: float = 15.0
    head_bytes: int = 64 << 10
    connections: int = 200


BOUNDS: Final = Bounds()


def bounded(protocol: type[Any], bounds: Bounds = BOUNDS) -> type[Any]:  # noqa: C901 - one class
    """A protocol of connections with these bounds.

    Args:
        protocol: uvicorn's, of httptools: this package itself serves nothing and does not need it.
        bounds: what clients may take.
    """

    class BoundedConnection(protocol):  # type: ignore[misc]  # a class of the caller
        """One connection."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in the base class
            super().__init__(*args, **kwargs)
            self._timer: asyncio.TimerHandle | None = None
            self._head: int | None = 0  # bytes of a head that has not ended; None within a body

        def connection_made(self, transport: asyncio.Transport) -> None:
            """Begin, or refuse one too many."""
            super().connection_made(transport)
            if len(self.connections) > bounds.connections:
                transport.abort()
            else:
                self._within(bounds.request_seconds)

        def connection_lost(self, exc: Exception | None) -> None:
            """Forget the timer."""
            self._forget()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Take bytes; a head without end is refused."""
            if self._head is not None:
                before, self._head = self._head, self._head + len(data)
                # What came at once may hold a body, and is bounded by what one read brings.
                if before and self._head > bounds.head_bytes:
                    self.transport.abort()
                    return
            super().data_received(data)

        def on_message_begin(self) -> None:
            """The first byte of a request."""
            super().on_message_begin()
            self._within(bounds.request_seconds)

        def on_headers_complete(self) -> None:
            """The head has ended."""
            self._head = None
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            """The request is whole; its timer goes on until the next one begins."""
            self._head = 0
            super().on_message_complete()
            self._within(bounds.answer_seconds)

        def _within(self, seconds: float) -> None:
            self._forget()
            self._timer = self.loop.call_later(seconds, self.transport.abort)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return BoundedConnection
