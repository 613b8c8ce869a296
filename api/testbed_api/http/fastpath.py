"""The fast path to the busiest routes, past the framework.

A request passes seven layers of middleware and routing in FastAPI, about half of what the rest of
a prediction costs. The routes for predictions and labels use none of it: one path, one method,
JSON in, JSON out. They are answered here by the same endpoint functions that FastAPI has, and that
it still serves them with where a request is traced or unusual in any way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from testbed_api.errors import ApiError
from testbed_api.http.answers import answer_api_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

METHOD: Final = "POST"


class DirectRequest(Request):
    """A request whose headers are looked up at once, and whose body is read past a stream.

    Starlette's own goes through the list of headers for each one that is asked for.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        # Of several of one name the first counts, as in the framework.
        self._by_name = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(scope["headers"])
        }

    @property
    def headers(self) -> Mapping[str, str]:  # type: ignore[override]
        """By lower-case name."""
        return self._by_name

    async def body(self) -> bytes:
        """The whole body, once.

        Raises:
            ClientDisconnect: it ended too early.
        """
        body = b""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return body


class FastPath:
    """Answers requests for some routes itself, and passes all others on.

    Args:
        app: the whole application.
        endpoints: by path; what answers ``POST`` there. They take the request alone.
        limit: bytes of the largest body; what may be larger is the application's to refuse.
        guard: lets a request pass, or raises :class:`ApiError`; None lets all of them pass.
    """

    def __init__(
        self,
        app: ASGIApp,
        endpoints: Mapping[str, Callable[[Any], Awaitable[Response]]],
        limit: int,
        guard: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        self._app = app
        self._limit = limit
        self._guard = guard
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != METHOD:
            await self._app(scope, receive, send)
            return
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        request = DirectRequest(scope, receive)
        if not self._fits(request):
            await self._app(scope, receive, send)
            return
        try:
            if self._guard is not None:
                await self._guard(request)
            response = await endpoint(request)
        except ApiError as failure:
            response = await answer_api_error(request, failure)
        except Exception:
            # As the framework does: the client is notified, the server logs the traceback.
            await PlainTextResponse("Internal Server Error", 500)(scope, receive, send)
            raise
        await response(scope, receive, send)

    def _fits(self, request: Request) -> bool:
        """Whether the body's length is known, and within the limit; the server holds it to that."""
        length = request.headers.get("content-length", "")
        return length.isascii() and length.isdigit() and int(length) <= self._limit
