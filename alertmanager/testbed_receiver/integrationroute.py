"""The receiver's HTTP side for integrations: each receiver's has an address of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from testbed_receiver.integrations import IntegrationRequest
from testbed_receiver.messages import PREFIX, Place, message, trace_of
from testbed_receiver.record import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from testbed_receiver.messages import MessageRecorder


def trace_header(request: Request) -> str:
    """Id of the trace that a request is of; empty where it says none."""
    return trace_of(request.headers.get("traceparent", ""))


def integration_route(recorder: MessageRecorder, clock: Callable[[], float]) -> Route:
    """The paths at which integrations deliver.

    Args:
        recorder: where messages go.
        clock: Unix time in seconds.
    """

    async def take(request: Request) -> Response:
        body, query = await request.body(), dict(request.query_params)
        try:
            place, path = Place.parse(request.path_params["place"])
            sent = IntegrationRequest(request.method, path, body, query)
            arrived, reply = message(place, sent, clock(), trace_header(request))
            if arrived is not None:
                recorder.add(arrived)
        except PayloadError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        except OSError as error:
            return PlainTextResponse(f"cannot record, try again: {error}\n", status_code=503)
        return Response(reply.body, reply.status, media_type=reply.media_type)

    return Route(f"{PREFIX}/{{place:path}}", take, methods=["GET", "POST", "PUT"])
