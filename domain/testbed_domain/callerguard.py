"""An ASGI application that only answers callers which no page of another site sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.callers import Caller, Refusal, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]

POLICY_VIOLATION: Final = 1008


class CallerGuard:
    """Stands before an application.

    Args:
        app: answers what is let through.
        names: host names by which the port may be asked; see
            :func:`testbed_domain.callers.refusal`.
        setting: where such a name is added.
        headers: added to every answer of the application: name, in small letters, and value.
    """

    def __init__(
        self,
        app: Application,
        names: Collection[str],
        setting: str,
        headers: Collection[tuple[str, str]] = (),
    ) -> None:
        self._app = app
        self._names = names
        self._setting = setting
        self._headers = [(name.encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it unread."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        found = refusal(caller_of(scope), self._names, self._setting)
        if found is None:
            await self._app(scope, receive, self._adding(send) if self._headers else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await refuse(send, found)

    def _adding(self, send: Send) -> Send:
        async def added(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in self._headers}
                retained = [(name, value) for name, value in message["headers"] if name not in own]
                message = {**message, "headers": [*retained, *self._headers]}
            await send(message)

        return added


def caller_of(scope: Message) -> Caller:
    """What the request of an ASGI scope says of where it comes from."""
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value.decode("latin-1"))
    return Caller(
        scope.get("method", "GET"),
        tuple(found.get(b"host", ())),
        tuple(found.get(b"origin", ())),
        ",".join(found.get(b"sec-fetch-site", ())),
        ",".join(found.get(b"sec-fetch-mode", ())),
    )


async def refuse(send: Send, why: Refusal, headers: Collection[tuple[bytes, bytes]] = ()) -> None:
    """Send an error as the API writes its own: JSON with a ``detail``."""
    body = json.dumps({"detail": why.detail}).encode()
    base = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": why.status, "headers": [*base, *headers]})
    await send({"type": "http.response.body", "body": body})
