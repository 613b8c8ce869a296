"""Connections: who is slow is cut off, and who brings much at a time waits for the others."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
)

from testbed_api.http.pace import BytePace, Writing
from testbed_api.http.reading import PER_REQUEST, PIECE, ReadingTime
from testbed_api.presence import PRESENCE, ClientPresence

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# Requests that wait for those before them on the same connection; more are left unread.
MAX_PIPELINED: Final = 8
MAX_HEADERS: Final = 256


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a client may take.

    Attributes:
        head_bytes: request line and headers.
        head_seconds: from the first byte (or from the connection) to the end of the headers.
        body_seconds: for the body; one that takes longer must bring ``rate`` bytes a second in each
            such period.
        write_seconds: a client must take ``rate`` bytes a second of an answer in each such period.
        rate: bytes per second below which a client is too slow.
        connections: most of them at a time.
        linger_seconds: how long a server that drains waits for an idle connection's next request.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    write_seconds: float = 20.0
    rate: int = 500
    connections: int = 1000
    linger_seconds: float = 1.0


class Connection(HttpToolsProtocol):
    """One connection. Made through :func:`connection_class`, once per server."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    draining: ClassVar[bool] = False
    reading: ClassVar[ReadingTime] = ReadingTime()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in the base class
        super().__init__(*args, **kwargs)
        # When waiting for the rest of a request began; None while nothing is missing.
        self.waiting_since: float | None = time.monotonic()
        self._head: int | None = 0  # bytes of an unfinished head; None in a body
        self._body = 0
        self._idle_since = self.waiting_since
        self._pace: BytePace | None = None  # of a body
        self._writing: Writing | None = None
        self._held = b""  # read, but not parsed yet
        # Requests without a complete answer, the one that is being served first.
        self._unanswered: deque[tuple[RequestResponseCycle, ClientPresence]] = deque()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the request being served; the base class reports the last one that came."""
        self._abandon()
        super().connection_lost(exc)

    def _abandon(self) -> None:
        while self._unanswered:
            cycle, presence = self._unanswered.popleft()
            cycle.disconnected = True
            cycle.message_event.set()
            presence.leave()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with a flow that isn't resumed while there is enough to do."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)
        self._writing = Writing(transport, self.limits.write_seconds, self.limits.rate)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head without end is refused."""
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        if self._held:
            self._held += data
            self.flow.pause_reading()
        elif self.reading.fresh:
            self._parse(data)
        else:
            self._hold(data)

    def parse_held(self) -> None:
        """Go on with what was read; see :class:`ReadingTime`."""
        data, self._held = self._held, b""
        if self.parser is None or self.transport.is_closing():
            return
        self._parse(data)
        cycle = self.cycle
        busy = cycle is not None and not cycle.response_complete
        if (
            not self.full
            and not self.pipeline
            and not (busy and len(cycle.body) > HIGH_WATER_LIMIT)
        ):
            self.flow.resume_reading()

    def _hold(self, data: bytes) -> None:
        self._held = data
        self.flow.pause_reading()
        if len(self.pipeline) < MAX_PIPELINED:
            self.reading.wait(self, self.loop)
        # Else an answer wakes it.

    def _parse(self, data: bytes) -> None:
        """Parse as much as this turn has time for, and hold the rest."""
        reading, place = self.reading, 0
        begun = reading.clock()
        while place < len(data):
            size = PIECE
            if self._head is not None:
                size = min(size, self.limits.head_bytes - self._head)
                if size <= 0:
                    self.refuse(431)
                    break
            piece = data[place : place + size] if len(data) > size else data
            place += len(piece)
            if self._head is not None:
                self._head += len(piece)
            super().data_received(piece)
            if self.parser is None or self.transport.is_closing():
                break
            if place >= len(data):
                break
            now = reading.clock()
            reading.spend(now - begun, self.loop)
            begun = now
            if reading.over or len(self.pipeline) >= MAX_PIPELINED:
                self._hold(data[place:])
                return
        reading.spend(reading.clock() - begun, self.loop)

    @property
    def full(self) -> bool:
        """Whether what is there already must be dealt with before more is read."""
        return bool(self._held) or len(self.pipeline) >= MAX_PIPELINED

    def on_response_complete(self) -> None:
        """Go on with what was held back for the sake of the requests before it."""
        self._idle_since = time.monotonic()
        if self._unanswered:
            self._unanswered.popleft()
        woken = len(self.pipeline) >= MAX_PIPELINED
        super().on_response_complete()
        if woken and self._held and len(self.pipeline) < MAX_PIPELINED:
            self.reading.wait(self, self.loop)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; what frames it counts for nothing."""
        self._body += len(body)
        super().on_body(body)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; the request is refused for those beyond the limit."""
        if len(self.headers) < MAX_HEADERS:
            super().on_header(name, value)
        else:
            self.app = _refuse_headers

    def on_headers_complete(self) -> None:
        """Begin a request; while draining it is the last one here."""
        self._head, self._body = None, 0
        self.waiting_since = now = time.monotonic()
        self._pace = BytePace(self.limits.body_seconds, self.limits.rate, now)
        presence = ClientPresence()
        # The server's types are other names for the same ASGI.
        cast("dict[str, Any]", self.scope)["extensions"] = {PRESENCE: presence}
        super().on_headers_complete()
        self._unanswered.append((self.cycle, presence))
        self.reading.spend(PER_REQUEST, self.loop)
        if self.draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Nothing is missing any more; the next bytes begin a head."""
        self._head, self.waiting_since = 0, None
        super().on_message_complete()

    def resume_writing(self) -> None:
        """Go on: the client has taken most of what was written."""
        if self._writing is not None:
            self._writing.resumed()
        super().resume_writing()

    def late(self, now: float) -> bool:
        """Whether the client takes too long to send what it began."""
        if self.waiting_since is None or self.flow is None:
            return False
        if self.flow.read_paused:
            if self._pace is not None:
                self._pace.restart(now, self._body)
            return False
        if self._head is not None or self._pace is None:
            return now - self.waiting_since > self.limits.head_seconds
        return self._pace.late(now, self._body)

    def stuck(self, now: float) -> bool:
        """Whether the client takes too long to take its answer."""
        return self._writing is not None and self._writing.late(now, paused=self.flow.write_paused)

    def cut(self) -> None:
        """Close at once, with what is not sent yet."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is answered in JSON, as all other errors are."""
        body = json.dumps({"detail": msg}).encode()
        headers = b"".join(b"%s: %s\r\n" % header for header in self.server_state.default_headers)
        end = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[400] + headers + end % len(body) + body)
        self.transport.close()
        self._abandon()

    def refuse(self, status: int) -> None:
        """Answer with an error where no answer has begun, and close."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or self._head is not None or not cycle.response_started:
            headers = b"".join(
                b"%s: %s\r\n" % header for header in self.server_state.default_headers
            )
            end = b"content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + headers + end)
        self.transport.close()
        self._abandon()

    @property
    def idle(self) -> bool:
        """Whether no request is being served or on its way, as far as was read."""
        served = self.cycle is None or self.cycle.response_complete
        return served and not self.pipeline and not self._head and not self._held

    @property
    def expendable(self) -> float:
        """Since when it does nothing that anybody waits for; infinity where it is of use."""
        if self.idle:
            return self._idle_since
        if self._head is not None and self.waiting_since is not None and not self.pipeline:
            return self.waiting_since + self.limits.head_seconds  # after all that are idle
        return math.inf

    def give_way(self) -> bool:
        """Close for the sake of a new connection, unless a request is on its way here."""
        if self.idle and self._bytes_wait():
            return False
        self.transport.close()
        self._abandon()
        return True

    def announce(self) -> None:
        """The server drains: close after the response that is being made."""
        if not self.idle and self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def close_if_quiet(self) -> None:
        """Close an idle connection, unless bytes wait in its socket."""
        if self.idle and not self._bytes_wait():
            self.transport.close()

    def _bytes_wait(self) -> bool:
        shown = self.transport.get_extra_info("socket")
        if shown is None or self.transport.is_closing():
            return False
        with socket.socket(fileno=os.dup(shown.fileno())) as copy:
            try:
                return bool(copy.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except OSError:  # nothing there, or no longer connected
                return False


async def _refuse_headers(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    body = b'{"detail":"the request has too many headers"}'
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Flow(FlowControl):
    """The flow of a connection, which the application can't resume while there is enough to do."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if not self._connection.full:
            super().resume_reading()


def connection_class(limits: ConnectionLimits) -> type[Connection]:
    """The connections of one server; its ``draining`` is theirs alone."""
    return type("ServerConnection", (Connection,), {"limits": limits, "reading": ReadingTime()})
