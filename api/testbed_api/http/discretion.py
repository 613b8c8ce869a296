"""What the public port shows strangers where API keys are set: whether it serves, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response

    from testbed_api.http.guard import Guard

# For load balancers, which have no key; all other routes that watch need one.
OPEN: Final = "/health"
# Problems name paths, hosts and errors; the rest reports what runs here and since when.
SHOWN: Final = ("status",)


def discreet_route(guard: Guard) -> type[APIRoute]:
    """A class of routes that watch: health as its status alone, metrics and counts with a key.

    The management port reports all of it.

    Args:
        guard: lets callers with a key pass.
    """

    class DiscreetRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                await guard(request)
                return await handler(request)

            async def shortened(request: Request) -> Response:
                full = await handler(request)
                found = orjson.loads(bytes(full.body))
                shown = {name: found[name] for name in SHOWN if name in found}
                return JSONResponse(shown, full.status_code)

            return shortened if self.path.startswith(OPEN) else guarded

    return DiscreetRoute
