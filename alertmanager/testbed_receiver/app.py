"""The receiver's HTTP side."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from testbed_receiver.integrationroute import integration_route, trace_header
from testbed_receiver.otlp import BoundedFile, Line, log_records, spans
from testbed_receiver.page import render_page
from testbed_receiver.record import NotificationRecorder, PayloadError, notifications

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from testbed_receiver.messages import MessageRecorder


@dataclass(frozen=True, slots=True)
class OtlpSignals:
    """Where spans and log records go, as OTLP in JSON; None takes none.

    Attributes:
        traces: file of the spans.
        log_records: file of the log records.
    """

    traces: BoundedFile | None = None
    log_records: BoundedFile | None = None

    def routes(self, clock: Callable[[], float]) -> list[Route]:
        """The paths to which OTLP posts them."""
        return [
            Route(path, _sink(file, read, clock), methods=["POST"])
            for path, file, read in (
                ("/v1/traces", self.traces, spans),
                ("/v1/logs", self.log_records, log_records),
            )
            if file is not None
        ]


def _sink(
    file: BoundedFile,
    read: Callable[[bytes, float], list[Line]],
    clock: Callable[[], float],
) -> Callable[[Request], Awaitable[Response]]:
    async def take(request: Request) -> Response:
        try:
            file.add(read(await request.body(), clock()))
        except PayloadError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        except OSError as error:
            return PlainTextResponse(f"cannot record, try again: {error}\n", status_code=503)
        return JSONResponse({})

    return take


def create_app(
    recorder: NotificationRecorder,
    clock: Callable[[], float],
    signals: OtlpSignals | None = None,
    messages: MessageRecorder | None = None,
    beside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    page_url: str | None = None,
) -> Starlette:
    """The receiver.

    Args:
        recorder: where notifications go.
        clock: Unix time in seconds.
        signals: where spans and log records go; without, they are not taken.
        messages: where messages of integrations go; without, they are not taken.
        beside: gives what is served as long as this is.
        page_url: where its page is, if not here.
    """

    async def take(request: Request) -> Response:
        body = await request.body()
        try:
            arrived = notifications(body, clock(), trace_header(request))
        except PayloadError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        try:
            recorder.add(*arrived)
        except OSError as error:
            return PlainTextResponse(f"cannot record, try again: {error}\n", status_code=503)
        return JSONResponse({"recorded": len(arrived)})

    async def give(_: Request) -> Response:
        return JSONResponse([each.model_dump() for each in recorder.recent])

    async def page(_: Request) -> Response:
        if page_url is not None:
            return RedirectResponse(page_url)
        texts = () if messages is None else reversed(messages.recent)
        return HTMLResponse(render_page(reversed(recorder.recent), texts))

    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready\n")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with beside():
            yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", page),
            Route("/notifications", take, methods=["POST"]),
            Route("/notifications", give),
            Route("/health/ready", ready),
            *([] if messages is None else [integration_route(messages, clock)]),
            *(signals or OtlpSignals()).routes(clock),
        ],
    )
