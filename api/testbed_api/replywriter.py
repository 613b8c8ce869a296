"""Writes a whole reply with one call of the operating system.

The server writes a reply's head and its body one by one, and checks every header of every reply.
Most replies here come in one piece: those are joined, and their head is checked in one go. All
others (streams, ``HEAD``, connections that end) are the server's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

Header = tuple[bytes, bytes]

# Whoever sends these wants more than a plain reply.
SPECIAL: Final = frozenset({b"connection", b"transfer-encoding"})
# What the grammar of HTTP allows in names, and forbids in values.
NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
NAMES_KEPT: Final = 200

_names: dict[bytes, bytes] = {}


class DefaultHeaders:
    """The headers of every reply as bytes, made anew when the server changes them (the date)."""

    def __init__(self) -> None:
        self._headers: list[Header] = []
        self._bytes = b""

    def render(self, headers: list[Header]) -> bytes:
        """Lines of these headers."""
        if headers is not self._headers:
            self._headers = headers
            self._bytes = b"".join(b"%s: %s\r\n" % header for header in headers)
        return self._bytes


class ReplyWriter:
    """Stands between an application and one request of the server.

    Args:
        app: the application.
        cycle: the server's state of that request.
        default: headers of every reply.
    """

    __slots__ = ("_app", "_cycle", "_default", "_start")

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle, default: DefaultHeaders) -> None:
        self._app = app
        self._cycle = cycle
        self._default = default
        self._start: Message | None = None

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Let the application answer."""
        await self._app(scope, receive, self.send)

    async def send(self, message: Message) -> None:
        """Take a message of the reply; its start waits for what follows."""
        start, self._start = self._start, None
        if start is None:
            if message["type"] == "http.response.start" and not self._cycle.response_started:
                self._start = message
            else:
                await self._pass(message)
            return
        reply = self._joined(start, message)
        if reply is None:
            await self._pass(start)
            await self._pass(message)
            return
        cycle = self._cycle
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(reply)
        cycle.message_event.set()
        cycle.on_response()

    async def _pass(self, message: Any) -> None:  # noqa: ANN401 - one of the server's messages
        await self._cycle.send(message)

    def _joined(self, start: Message, message: Message) -> bytes | None:
        """The bytes of a reply in one piece; None where it is the server's to write."""
        cycle, status = self._cycle, start["status"]
        if (
            message["type"] != "http.response.body"
            or message.get("more_body", False)
            or not cycle.keep_alive
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.scope["method"] == "HEAD"
        ):
            return None
        body: bytes = message.get("body", b"")
        lines = _lines(start.get("headers", ()), len(body))
        if lines is None:
            return None
        default = self._default.render(cycle.default_headers)
        return b"".join([STATUS_LINE[status], default, *lines, b"\r\n", body])


def _lines(headers: Iterable[Header], length: int) -> list[bytes] | None:
    """Headers as they are sent; None where one is special, wrong, or no length is given."""
    lines: list[bytes] = []
    known = False
    for name, value in headers:
        key = _names.get(name) or _key(name)
        if key is None:
            return None
        if key == b"content-length: ":
            known = value == b"%d" % length
        lines += (key, value, b"\r\n")
    if not known or CONTROL.search(b"".join(lines[1::3])) is not None:
        return None
    return lines


def _key(name: bytes) -> bytes | None:
    """The beginning of a header's line, where its name is one and not special."""
    lower = name.lower()
    if lower in SPECIAL or NAME.fullmatch(lower) is None:
        return None
    key = lower + b": "
    if len(_names) < NAMES_KEPT:
        _names[name] = key
    return key
