"""The two web applications: the public one, and the one for operators."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi_offline import FastAPIOffline
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from testbed_otel.standard import propagated
from testbed_otel.tracing import HeadSampler

from testbed_api.errors import ApiError
from testbed_api.http import schemas
from testbed_api.http.answers import (
    OrjsonResponse,
    answer_api_error,
    answer_http_error,
    answer_invalid,
    echo,
    request_id,
)
from testbed_api.http.bodies import read_body
from testbed_api.http.discretion import discreet_route
from testbed_api.http.docspage import add_docs
from testbed_api.http.fastpath import FastPath
from testbed_api.http.faultroutes import fault_router
from testbed_api.http.guard import Guard
from testbed_api.http.heads import HeadAsGet
from testbed_api.http.lookup import row_lookup
from testbed_api.http.modelroutes import model_router
from testbed_api.http.monitoring import entry_router, summary
from testbed_api.http.replies import reply_model
from testbed_api.http.requestoptions import request_options
from testbed_api.http.rowroutes import rows_router
from testbed_api.serving.faults import FaultSwitch
from testbed_api.serving.slices import at_once
from testbed_api.telemetry.http import REQUEST_ID_HEADER, HttpTelemetry, Traces
from testbed_api.telemetry.routes import route_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.telemetry import TelemetryConfig
    from starlette.types import ASGIApp, Receive, Scope, Send
    from testbed_otel.sdk import Telemetry

    from testbed_api.http.keys import KeyRing
    from testbed_api.serving.service import Service
    from testbed_api.settings import ApiSettings
    from testbed_api.telemetry.http import Served

# Not in the HTTP metrics: whoever watches must not change what is seen.
UNCOUNTED: Final = (
    "/metrics",
    "/health",
    "/health/live",
    "/health/ready",
    "/monitoring/stats",
)
# Paths with one method, POST: answered without the framework unless a request is unusual.
FAST: Final = ("/predict", "/labels")
# Bytes of a body that is read in one go, with no pause for others.
SHORT: Final = 2048
# FastAPI brings telemetry of its own; the standard instrumentation takes its place.
NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}
WATCHED: Final = {"health": "/health", "metrics": "/metrics", "stats": "/monitoring/stats"}
SEMANTIC_CONVENTIONS: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
CAPTURED_HEADERS: Final = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": schemas.Problem, "description": description}
    for status, description in (
        (400, "The request is not valid HTTP, or ended too early."),
        (401, "The API key is missing or unknown."),
        (413, "The body is too large."),
        (415, "The body is not valid JSON."),
        (422, "The body is not as described; names the fields."),
        (429, "The API key's limit is reached; Retry-After says for how long."),
        (500, "The model failed, or a failure was injected."),
        (
            503,
            "Not ready, too busy or too late, or the prediction log fails; nothing was recorded.",
        ),
    )
}

UNKNOWN_KEY: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": schemas.Problem, "description": "The id is not in the feature table."}
}

NO_LOG: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": schemas.Problem, "description": "This API keeps no prediction log."}
}
GUARDED: Final[dict[int | str, dict[str, Any]]] = {
    status: ERRORS[status] for status in (400, 401, 429)
}
CHANGE_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    **{status: ERRORS[status] for status in (400, 413, 415, 422)},
    401: {"description": "A change without the token of the management port."},
    403: {"description": "The service has no token, or the caller may not do this."},
    409: {"model": schemas.Problem, "description": "The state doesn't allow it; says why."},
}
METRICS_CONTENT: Final[dict[str, Any]] = {"text/plain": {"schema": {"type": "string"}}}

UNAVAILABLE: Final[dict[int | str, dict[str, Any]]] = {
    503: {"description": "Requests had better not come here now: the problems say why."}
}

ENTRY_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    **{status: ERRORS[status] for status in (400, 401, 413, 422, 429)},
    409: {"model": schemas.Problem, "description": "A model of this version is loaded."},
}


def create_app(
    settings: ApiSettings,
    service: Service,
    telemetry: Telemetry,
    keys: KeyRing | None = None,
    access: Callable[[Served], None] | None = None,
) -> ASGIApp:
    """The public application: predictions and labels.

    Args:
        settings: of the process.
        service: predicts and stores.
        telemetry: measures.
        keys: predictions and labels need one of them; None asks for none.
        access: is notified of every request.
    """
    guard = None if keys is None else Guard(keys, service.instruments)
    app = public_routes(settings, service, telemetry, guard)
    endpoints = {
        route.path: route.endpoint
        for route in iter_route_contexts(app.routes)
        if route.path in FAST and route.endpoint is not None
    }
    if telemetry.disabled:
        return FastPath(app, endpoints, settings.body_limit, guard)
    plain = FastPath(_uninstrumented(app), endpoints, settings.body_limit, guard)
    return _measured(app, plain, settings, service, telemetry, access)


def public_routes(
    settings: ApiSettings, service: Service, telemetry: Telemetry, guard: Guard | None = None
) -> FastAPI:
    """The public application as the framework serves it; see :func:`create_app`."""
    artefact = service.champion
    title = f"{artefact.name}: {artefact.use_case}"
    app = _app(settings, title, docs=settings.docs_enabled)
    guarded = [] if guard is None else [Depends(guard)]
    app.include_router(_prediction_router(settings, service, guarded))
    app.include_router(rows_router(settings, service, ERRORS, guard))
    app.include_router(
        model_router(service), dependencies=guarded, responses=GUARDED if guarded else None
    )
    if settings.monitoring_test_enabled:
        entries = entry_router(service, service.instruments.recorder)
        app.include_router(entries, dependencies=guarded, responses=ENTRY_ERRORS)
    if settings.public_metrics:
        kind = APIRoute if guard is None else discreet_route(guard)
        app.include_router(_watch_router(service, telemetry, kind=kind))
    return app


def create_management_app(
    settings: ApiSettings,
    service: Service,
    telemetry: Telemetry,
    control: FaultSwitch | None,
    versions: APIRouter | None = None,
) -> FastAPI:
    """The application for operators: metrics, health, and faults where there is a control.

    Args:
        settings: limits.
        service: what is watched.
        telemetry: its metrics.
        control: sets faults; None offers none.
        versions: changes model versions; None offers none.
    """
    app = _app(settings, title="Management")
    app.include_router(_watch_router(service, telemetry))
    if control is not None:
        app.include_router(fault_router(control), responses=CHANGE_ERRORS)
    if versions is not None:
        app.include_router(versions, responses=CHANGE_ERRORS)
    return app


def _app(settings: ApiSettings, title: str, *, docs: bool = True) -> FastAPI:
    # The page and its files are served by the API itself: it works without the internet.
    make = partial(FastAPIOffline, None) if docs else partial(FastAPI, openapi_url=None)
    app = make(
        title=title,
        max_body_size=settings.body_limit,
        redirect_slashes=False,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.add_middleware(HeadAsGet)
    if docs:
        add_docs(app)
    app.exception_handler(ApiError)(answer_api_error)
    app.exception_handler(HTTPException)(answer_http_error)
    app.exception_handler(RequestValidationError)(answer_invalid)
    return app


def _uninstrumented(app: FastAPI) -> ASGIApp:
    """The application as it is now; what instruments it later doesn't change what this serves."""
    stack = app.build_middleware_stack()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await stack({**scope, "app": app}, receive, send)

    return serve


def _measured(
    app: FastAPI,
    plain: ASGIApp,
    settings: ApiSettings,
    service: Service,
    telemetry: Telemetry,
    access: Callable[[Served], None] | None,
) -> HttpTelemetry:
    """Put the telemetry of HTTP around an application, which ``plain`` serves untraced."""
    # Read once per process; without it spans bear the attributes of before the conventions.
    os.environ.setdefault(SEMANTIC_CONVENTIONS, "http")
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=telemetry.chosen,
        meter_provider=NoOpMeterProvider(),
        excluded_urls="",  # the layer has chosen already
        exclude_spans=["receive", "send"],
        http_capture_headers_server_request=[
            REQUEST_ID_HEADER,
            *filter(None, os.environ.get(CAPTURED_HEADERS, "").split(",")),
        ],
    )
    tracer = telemetry.chosen.get_tracer(__name__) if telemetry.traced else None
    sampler = HeadSampler(
        telemetry.trace_ratio,
        parent_based=telemetry.parent_based,
        propagated=propagated(os.environ),
    )
    return HttpTelemetry(
        plain,
        app,
        lambda: route_table(app.routes),
        (service.instruments.http_duration, service.instruments.http_active),
        Traces(sampler, tracer, settings.slow_seconds),
        UNCOUNTED,
        access,
        wall=telemetry.clock.time,
    )


def _prediction_router(settings: ApiSettings, service: Service, guarded: list[Any]) -> APIRouter:
    router = APIRouter()
    artefact, schema = service.champion, service.champion.schema
    look_up = row_lookup(artefact)
    reader = schemas.row_reader(schema, look_up, settings.body_limit)
    label_reader = schemas.LabelReader(schema, settings.labels_limit)

    @router.get("/", tags=["about"])
    async def about() -> dict[str, Any]:
        artefact = service.champion
        return {
            "name": artefact.name,
            "use_case": artefact.use_case,
            "model_version": artefact.version,
            "synthetic": artefact.synthetic,
            "what": "An instrumented prediction service.",
            "predict": "POST /predict",
            "model": "GET /model",
            "labels": "POST /labels",
            **({"docs": "/docs"} if settings.docs_enabled else {}),
            **(WATCHED if settings.public_metrics else {}),
        }

    @router.post(
        "/predict",
        tags=["predictions"],
        dependencies=guarded,
        response_model=reply_model(artefact),
        responses=ERRORS if look_up is None else UNKNOWN_KEY | ERRORS,
        openapi_extra=schemas.row_body(schema, reader.adapter, by_key=look_up is not None),
    )
    async def predict(request: Request) -> Response:
        with service.counting_errors():
            row = reader.read(await read_body(request))
            identity = request_id(request)
            reply = await service.predict(row, identity, request_options(request))
            return OrjsonResponse(reply, headers=echo(request))

    @router.post(
        "/labels",
        tags=["predictions"],
        dependencies=guarded,
        response_model=schemas.LabelsReply,
        responses=ERRORS if settings.log_url is not None else ERRORS | NO_LOG,
        openapi_extra=schemas.labels_body(schema, settings.labels_limit),
    )
    async def labels(request: Request) -> Response:
        body = await read_body(request)
        reading = label_reader.read(body)
        found = at_once(reading) if len(body) <= SHORT else await service.turns.run(reading)
        return JSONResponse(await service.label(found))

    return router


def _watch_router(
    service: Service,
    telemetry: Telemetry,
    clock: Callable[[], float] = time.monotonic,
    kind: type[APIRoute] = APIRoute,
) -> APIRouter:
    router = APIRouter(tags=["watch"], route_class=kind)
    started = clock()

    @router.get(
        "/metrics", response_class=PlainTextResponse, responses={200: {"content": METRICS_CONTENT}}
    )
    async def metrics() -> Response:
        # In the event loop on purpose: the reader's collection must not run twice at a time.
        return Response(generate_latest(telemetry.registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/monitoring/stats")
    async def stats() -> dict[str, Any]:
        # In the event loop, for the same reason.
        return {
            **_readiness(service),
            "uptime_seconds": round(clock() - started, 3),
            **summary(telemetry.registry.collect()),
        }

    @router.get("/health", responses=UNAVAILABLE)
    async def health() -> JSONResponse:
        return _answer_health(
            {
                **_readiness(service),
                "model_loaded": service.problem is None,
                "model": service.champion.name,
                "model_version": service.champion.version,
                "use_case": service.champion.use_case,
                "synthetic": service.champion.synthetic,
                "instance": service.instance,
                "uptime_seconds": round(clock() - started, 3),
            }
        )

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/health/ready", responses=UNAVAILABLE)
    async def ready() -> JSONResponse:
        return _answer_health(_readiness(service))

    return router


def _answer_health(body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body, 503 if body["problems"] else 200)


def _readiness(service: Service) -> dict[str, Any]:
    problems, warnings = service.problems, service.warnings
    status = "unavailable" if problems else "degraded" if warnings else "ok"
    return {"status": status, "problems": problems, "warnings": warnings}
