"""``python -m testbed_api`` without one of its own pieces: ``ablated.py PIECE``.

The stock one stands in its place. The API itself has no switch for any of them.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse
from testbed_api import presence
from testbed_api.__main__ import main
from testbed_api.http import app, connections, draining
from testbed_api.ops import server
from testbed_api.serving.tickbatcher import TickBatcher
from testbed_api.telemetry import http
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response


def fast_path() -> None:
    """The framework serves all requests."""
    _replace(app, "FastPath", lambda plain, *_: plain)


def fast_path_by_route() -> None:
    """The framework routes all requests; a class of routes calls the endpoint at once."""

    class DirectRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
            return endpoint

    fast_path()
    _replace(app, "APIRouter", partial(APIRouter, route_class=DirectRoute))


def orjson() -> None:
    """The framework writes JSON by the standard library."""
    _replace(app, "OrjsonResponse", JSONResponse)


def client_presence() -> None:
    """Who left is learned by a task for each request, and by a ``receive`` that is cancelled."""
    for module in (http, presence):
        _replace(module, "presence", lambda _: None)
    # The module that has the task has its own name for it.
    _replace(sys.modules["testbed_api.http.requestoptions"], "presence", lambda _: None)


def reading_time() -> None:
    """Bytes are parsed as they come."""
    _replace(connections.Connection, "data_received", HttpToolsProtocol.data_received)


def connection() -> None:
    """Connections and the end of the server are uvicorn's own."""

    class Server(uvicorn.Server):
        capture_signals = draining.DrainingServer.capture_signals

    _replace(server, "connection_class", lambda _: HttpToolsProtocol)
    _replace(server, "DrainingServer", lambda config, _: Server(config))


def sampling_before() -> None:
    """All requests go through the standard instrumentation, which drops those not sampled."""
    made = http.HttpTelemetry
    _replace(
        app, "HttpTelemetry", lambda _, traced, *rest, **how: made(traced, traced, *rest, **how)
    )


def model_once_a_turn() -> None:
    """The model is asked for each request alone."""

    async def predict(batcher: Any, rows: Any) -> Any:  # noqa: ANN401 - in place of a method
        batcher._observer.dispatched("alone", len(rows), ())
        return batcher._predict(rows)

    _replace(TickBatcher, "predict", predict)


def nothing() -> None:
    """The API as it is."""


def _replace(owner: Any, name: str, piece: object) -> None:  # noqa: ANN401 - a module or a class
    getattr(owner, name)  # where it is gone, this measures nothing
    setattr(owner, name, piece)


if __name__ == "__main__":
    globals()[sys.argv.pop(1)]()
    sys.exit(main())
