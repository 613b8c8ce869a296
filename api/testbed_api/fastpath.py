"""The fast path to the busiest routes, past the framework.

A request passes seven layers of middleware and routing in FastAPI, about half of what the rest of
a prediction costs. The routes for predictions and labels use none of it: one path, one method,
JSON in, JSON out. They are answered here by the same endpoint functions that FastAPI has, and that
it still serves them with where a request is traced or unusual in any way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import PlainTextResponse

from testbed_api.answers import ApiError, answer_api_error
from testbed_api.requestlike import PlainRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from fastapi.routing import APIRoute
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

METHOD: Final = "POST"


class FastPath:
    """Answers requests for some routes itself, and passes all others on.

    Args:
        app: the whole application.
        routes: those to answer; their endpoints take the request alone.
        limit: bytes of the largest body; what may be larger is the application's to refuse.
        guard: lets a request pass, or raises :class:`ApiError`; None lets all of them pass.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Iterable[APIRoute],
        limit: int,
        guard: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        self._app = app
        self._limit = limit
        self._guard = guard
        self._endpoints: dict[str, Callable[[Any], Awaitable[Response]]] = {
            route.path: route.endpoint for route in routes if METHOD in (route.methods or ())
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != METHOD:
            await self._app(scope, receive, send)
            return
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        # Of several of one name the first counts, as in the framework.
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(scope["headers"])
        }
        if not self._fits(headers):
            await self._app(scope, receive, send)
            return
        request = PlainRequest(scope, headers, receive)
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

    def _fits(self, headers: Mapping[str, str]) -> bool:
        """Whether the body's length is known, and within the limit; the server holds it to that."""
        length = headers.get("content-length", "")
        return length.isascii() and length.isdigit() and int(length) <= self._limit
