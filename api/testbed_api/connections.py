"""Connections: who is slow is cut off, and who is being served when the process ends is not.

An idle keep-alive connection can't be closed without a risk: its client may be sending at that
moment. So a server that drains answers each connection's next request with ``Connection: close``,
and closes only those that stay quiet for a while, after a look whether something has just come.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from testbed_api.replywriter import DefaultHeaders, ReplyWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

SWEEP_INTERVAL: Final = 0.25
DRAIN_INTERVAL: Final = 0.02
# ASGI extension: takes what to call when the client of this request closes the connection, or None.
WHEN_LOST: Final = "testbed.when_lost"
# A connection that was accepted just before the end has this long to show up.
SETTLE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take.

    Attributes:
        head_bytes: request line and headers.
        head_seconds: from the first byte (or from the connection) to the end of the headers.
        body_seconds: for the body; each ``body_rate`` bytes that came give another second.
        body_rate: bytes per second below which a body is too slow.
        linger_seconds: how long a server that drains waits for an idle connection's next request.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    body_rate: int = 500
    linger_seconds: float = 1.0


class Connection(HttpToolsProtocol):
    """One connection. Made through :func:`connection_class`, once per server."""

    limits: ClassVar[Limits] = Limits()
    draining: ClassVar[bool] = False
    default_headers: ClassVar[DefaultHeaders] = DefaultHeaders()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in the base class
        super().__init__(*args, **kwargs)
        # When waiting for the rest of a request began; None while nothing is missing.
        self.waiting_since: float | None = time.monotonic()
        self._head: int | None = 0  # bytes of an unfinished head; None in a body
        self._body = 0
        self._served: RequestResponseCycle | None = None
        self._when_lost: Callable[[], object] | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - as in the base class
        self._served, self._when_lost = cycle, None
        scope: dict[str, Any] = cast("dict[str, Any]", cycle.scope)
        scope["extensions"] = {WHEN_LOST: self.when_lost}
        # The server's types are other names for the same ASGI.
        writer: Any = ReplyWriter(app, cycle, self.default_headers)
        super()._start_asgi_task(cycle, writer)

    def when_lost(self, callback: Callable[[], object] | None) -> None:
        """Call back when the client of the request that is being served leaves; None: don't."""
        self._when_lost = callback
        if callback is not None and self._served is not None and self._served.disconnected:
            self.loop.call_soon(self._tell)

    def _tell(self) -> None:
        callback, self._when_lost = self._when_lost, None
        if callback is not None:
            callback()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being served; the base class tells the last one that came."""
        self._abandon()
        super().connection_lost(exc)

    def _abandon(self) -> None:
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
            self._tell()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head without end is refused."""
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        if self._head is not None:
            self._head += len(data)
        else:
            self._body += len(data)
        super().data_received(data)
        if self._head is not None and self._head > self.limits.head_bytes:
            self.refuse(431)

    def on_headers_complete(self) -> None:
        """Begin a request; while draining it is the last one here."""
        self._head, self._body = None, 0
        self.waiting_since = time.monotonic()
        super().on_headers_complete()
        if self.draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Nothing is missing any more; the next bytes begin a head."""
        self._head, self.waiting_since = 0, None
        super().on_message_complete()

    def late(self, now: float) -> bool:
        """Whether the client takes too long to send what it began."""
        if self.waiting_since is None or self.flow is None or self.flow.read_paused:
            return False
        waited = now - self.waiting_since
        if self._head is not None:
            return waited > self.limits.head_seconds
        return waited > self.limits.body_seconds + self._body / self.limits.body_rate

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so in JSON, as all other errors are."""
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
        return served and not self.pipeline and not self._head

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


def connection_class(limits: Limits) -> type[Connection]:
    """The connections of one server; its ``draining`` is theirs alone."""
    return type(
        "ServerConnection", (Connection,), {"limits": limits, "default_headers": DefaultHeaders()}
    )


class DrainingServer(uvicorn.Server):
    """A server that accepts one connection at a time, watches the slow ones, and drains.

    One at a time, so that replicas which share a socket share a burst of connections too. Signals
    are left alone: two servers share this process.

    Args:
        config: with ``http`` from :func:`connection_class` and ``lifespan`` off.
        connections: the same class.
    """

    def __init__(self, config: uvicorn.Config, connections: type[Connection]) -> None:
        super().__init__(config)
        self._class = connections
        self._accepting: set[asyncio.Task[Any]] = set()
        self._next_sweep = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets."""
        loop = asyncio.get_running_loop()
        for listener in sockets or []:
            listener.setblocking(False)  # noqa: FBT003 - the name of the method says it
            listener.listen(self.config.backlog)
            loop.add_reader(listener, self._accept, listener)
        self.started = True

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:  # another replica was faster, the client left, or files are short
            return
        accepted.setblocking(False)  # noqa: FBT003 - the name of the method says it
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._connect(accepted))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        state = self.lifespan.state
        try:
            await loop.connect_accepted_socket(
                lambda: self._class(self.config, self.server_state, state, loop), accepted
            )
        except OSError:  # the client left at once
            accepted.close()

    async def on_tick(self, counter: int) -> bool:
        """Cut off who is slow, now and then."""
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL
            self._sweep(now)
        return await super().on_tick(counter)

    def _sweep(self, now: float) -> None:
        for connection in self._connections():
            if connection.late(now):
                connection.refuse(408)

    def _connections(self) -> list[Connection]:
        return [item for item in self.server_state.connections if isinstance(item, Connection)]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what has begun, and close connections without losing a request."""
        loop = asyncio.get_running_loop()
        for listener in sockets or []:
            loop.remove_reader(listener)
            listener.close()
        self._class.draining = True
        if self._accepting:
            await asyncio.wait(self._accepting)
        for connection in self._connections():
            connection.announce()
        await self._drain()
        if self._busy():
            logger.warning("%d connections are cut off", len(self.server_state.connections))
        for task in self.server_state.tasks:
            task.cancel()
        for connection in self._connections():
            connection.transport.close()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1)

    async def _drain(self) -> None:
        """Wait until all connections have gone, or the patience is over."""
        begun = time.monotonic()
        patience = self.config.timeout_graceful_shutdown or 0
        while not self.force_exit:
            now = time.monotonic()
            waited = now - begun
            if waited > patience or (waited > SETTLE_SECONDS and not self._busy()):
                return
            self._sweep(now)
            if waited > self._class.limits.linger_seconds:
                for connection in self._connections():
                    connection.close_if_quiet()
            await asyncio.sleep(DRAIN_INTERVAL)

    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)
