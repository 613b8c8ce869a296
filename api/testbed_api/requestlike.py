"""A request, as far as endpoints need it: from the framework, or straight from the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Receive, Scope


class RequestLike(Protocol):
    """What endpoints need of a request; Starlette's own has it, too."""

    @property
    def scope(self) -> Scope:
        """What the server says of it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""

    @property
    def receive(self) -> Receive:
        """The next message from the client."""

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            ClientDisconnect: it ended too early.
        """


class PlainRequest:
    """A request as the server gives it, for one reading of its body.

    Args:
        scope: what the server says of it.
        headers: by lower-case name.
        receive: the next message from the client.
    """

    __slots__ = ("headers", "receive", "scope")

    def __init__(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> None:
        self.scope = scope
        self.headers = headers
        self.receive = receive

    async def body(self) -> bytes:
        """See :class:`RequestLike`."""
        message = await self._part()
        body: bytes = message.get("body", b"")
        while message.get("more_body", False):
            message = await self._part()
            body += message.get("body", b"")
        return body

    async def _part(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message
