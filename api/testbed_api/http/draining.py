"""A server that bounds its connections, and that loses no request when it ends.

An idle keep-alive connection can't be closed without a risk: its client may be sending at that
moment. So a server that drains answers each connection's next request with ``Connection: close``,
and closes only those that stay quiet for a while, after a look whether something has just come.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from testbed_api.http.connections import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

SWEEP_INTERVAL: Final = 0.25
DRAIN_INTERVAL: Final = 0.02
# A connection that was accepted just before the end has this long to show up.
SETTLE_SECONDS: Final = 0.1
# There are no files, or no memory, for one more connection.
SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE_SECONDS: Final = 0.5
WARN_SECONDS: Final = 10.0
REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
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
        self._opening: set[Connection] = set()
        self._next_sweep = 0.0
        self._next_warning = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets."""
        for listener in sockets or []:
            listener.setblocking(False)  # noqa: FBT003 - the name of the method says it
            listener.listen(self.config.backlog)
            self._listen(listener)
        self.started = True

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError as error:  # another replica was faster, the client left, or files are short
            if error.errno in SHORT:
                self._pause(listener)
            return
        if not self._accepts_one_more():
            self._warn("there are %d connections: one more is refused", self._count)
            with contextlib.suppress(OSError):
                accepted.setblocking(False)  # noqa: FBT003 - the name of the method says it
                accepted.send(REFUSAL)
            accepted.close()
            return
        accepted.setblocking(False)  # noqa: FBT003 - the name of the method says it
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        connection = self._class(self.config, self.server_state, self.lifespan.state, loop)
        self._opening.add(connection)
        task = loop.create_task(self._connect(accepted, connection))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    @property
    def _count(self) -> int:
        connections = self.server_state.connections
        return len(connections) + sum(each not in connections for each in self._opening)

    def _accepts_one_more(self) -> bool:
        """Whether there may be one more connection; closes one that does nothing for it."""
        if self._count < self._class.limits.connections:
            return True
        for connection in sorted(
            (found for found in self._connections() if not found.transport.is_closing()),
            key=lambda found: found.expendable,
        ):
            if connection.expendable >= math.inf:
                return False
            if connection.give_way():
                self._warn("there are %d connections: idle ones are closed", self._count)
                return True
        return False

    def _pause(self, listener: socket.socket) -> None:
        """Accept nothing for a while: the process has no file left for it."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self._warn("no connection can be accepted: %d are open, and no file is left", self._count)
        loop.call_later(PAUSE_SECONDS, self._listen, listener)

    def _listen(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0 and not self._class.draining:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _warn(self, message: str, count: int) -> None:
        """Warn, but not at the pace of connections."""
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARN_SECONDS
            logger.warning(message, count)

    async def _connect(self, accepted: socket.socket, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:  # the client left at once
            accepted.close()
        finally:
            self._opening.discard(connection)

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
            elif connection.stuck(now):
                connection.cut()

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
        """Wait until all connections have gone, or the timeout is over."""
        begun = time.monotonic()
        timeout = self.config.timeout_graceful_shutdown or 0
        while not self.force_exit:
            now = time.monotonic()
            waited = now - begun
            if waited > timeout or (waited > SETTLE_SECONDS and not self._busy()):
                return
            self._sweep(now)
            if waited > self._class.limits.linger_seconds:
                for connection in self._connections():
                    connection.close_if_quiet()
            await asyncio.sleep(DRAIN_INTERVAL)

    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)
