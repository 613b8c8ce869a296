"""Metrics, traces and the access log of HTTP, for next to nothing per request.

The layer stands outside of the whole application. What it measures:

- the duration until the last byte of the reply is handed to the server, so background tasks that
  run afterwards don't count;
- requests in flight, with their route;
- clients that left before their reply (``error.type`` is ``client_disconnect``).

Only sampled requests go through the standard OpenTelemetry instrumentation. One that was not
sampled and then fails, or is slow, gets its span afterwards, with its true start and end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.requests import Request
from testbed_otel import names
from testbed_otel.children import Trace
from testbed_otel.tracing import (
    HeadSampler,
    RequestTrace,
    UnsampledSpan,
    current_request,
    reset_current,
    set_current,
)

from testbed_api.presence import presence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from opentelemetry.trace import Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from testbed_otel.children import (
        HistogramChild,
        HistogramMetricFamily,
        SumChild,
        SumMetricFamily,
        Value,
    )

    from testbed_api.telemetry.routes import RouteTable

METHODS: Final = frozenset(names.HTTP_METHODS)
SERVER_ERROR: Final = 500
# Nobody gives up sooner than this, so other servers than ours aren't asked for faster replies.
QUICK: Final = 0.005
TRACERESPONSE: Final = b"traceresponse"
REQUEST_ID_HEADER: Final = "X-Request-ID"
REQUEST_ID_KEY: Final = REQUEST_ID_HEADER.lower()
REQUEST_ID_BYTES: Final = REQUEST_ID_KEY.encode()
REQUEST_ID_LENGTH: Final = 64
DISCONNECT_MESSAGE: Final = "http.disconnect"


class Served(NamedTuple):
    """What is known of a request once its reply is sent.

    Attributes:
        scope: ASGI scope; its headers may hold secrets.
        route: path template.
        status: HTTP status; 0 where no reply was begun.
        duration: seconds.
        error: ``error.type`` or None.
        size: bytes of the reply's body.
        trace: ids of the request.
        traced: whether a span bears those ids.
        time: Unix seconds at its end.
    """

    scope: Scope
    route: str
    status: int
    duration: float
    error: str | None
    size: int
    trace: RequestTrace
    traced: bool
    time: float


@dataclass(frozen=True, slots=True)
class Traces:
    """How requests are traced.

    Attributes:
        sampler: decides what is sampled.
        tracer: makes the spans of requests that were not sampled; None makes none.
        slow: seconds from which a request always gets a span.
    """

    sampler: HeadSampler
    tracer: Tracer | None = None
    slow: float = 1.0


class HttpTelemetry:
    """The ASGI layer.

    Args:
        plain: the application.
        traced: the same application inside of the standard instrumentation, metrics off.
        routes: makes the table of the application's routes; called with the first request.
        metrics: duration and requests in flight.
        traces: how requests are traced.
        uncounted: paths that are served without being measured.
        access: is notified of every request served.
        clock: seconds, for durations.
        wall: Unix seconds, for the lines of the access log.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one argument per part that it joins
        self,
        plain: ASGIApp,
        traced: ASGIApp,
        routes: Callable[[], RouteTable],
        metrics: tuple[HistogramMetricFamily, SumMetricFamily],
        traces: Traces,
        uncounted: Collection[str] = (),
        access: Callable[[Served], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._plain = plain
        self._traced = traced
        self._make_routes = routes
        self._routes: RouteTable | None = None
        self._durations, self._actives = metrics
        self.traces = traces
        self._uncounted = frozenset(uncounted)
        self.access = access
        self.clock = clock
        self.wall = wall
        # Both have few keys: routes, methods and statuses are bounded.
        self._duration_children: dict[tuple[Value | None, ...], HistogramChild] = {}
        self._active_children: dict[tuple[str, str, str], SumChild] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve and measure one request."""
        if scope["type"] != "http" or scope["path"] in self._uncounted:
            await self._plain(scope, receive, send)
            return
        request = self.traces.sampler.choose(scope["headers"])
        exchange = _Exchange(self, scope, receive, send, request)
        token = set_current(request)
        attached = None
        if not request.sampled:
            span = UnsampledSpan(request)
            attached = otel_context.attach(trace.set_span_in_context(span, request.parent))
        try:
            app = self._traced if request.sampled else self._plain
            await app(scope, exchange.receive, exchange.send)
        finally:
            exchange.finish(complete=False)  # where the last byte never came
            if attached is not None:
                otel_context.detach(attached)
            reset_current(token)

    def route(self, path: str) -> str:
        """Template of the route that serves a path."""
        if self._routes is None:
            self._routes = self._make_routes()
        return self._routes.find(path)

    def active(self, method: str, route: str, scheme: str) -> SumChild:
        """Child of the requests in flight."""
        key = (method, route, scheme)
        child = self._active_children.get(key)
        if child is None:
            child = self._active_children[key] = self._actives.child(
                {names.HTTP_METHOD: method, names.HTTP_ROUTE: route, names.URL_SCHEME: scheme}
            )
        return child

    def duration(self, *key: Value | None) -> HistogramChild:
        """Child of the durations, by method, route, scheme, version, status and error."""
        child = self._duration_children.get(key)
        if child is None:
            attributes = dict(zip(_DURATION_KEYS, key, strict=True))
            child = self._duration_children[key] = self._durations.child(
                {name: value for name, value in attributes.items() if value}
            )
        return child


_DURATION_KEYS: Final = (
    names.HTTP_METHOD,
    names.HTTP_ROUTE,
    names.URL_SCHEME,
    names.PROTOCOL_VERSION,
    names.HTTP_STATUS,
    names.ERROR_TYPE,
)
_SCHEMES: Final = frozenset({"http", "https"})
_VERSIONS: Final = frozenset({"1.0", "1.1", "2", "3"})


class _Exchange:
    """One request and its reply."""

    __slots__ = (
        "_active", "_body_read", "_gone", "_layer", "_method", "_receive", "_route", "_scope",
        "_send", "_size", "_started", "_status", "_trace",
    )  # fmt: skip

    def __init__(
        self,
        layer: HttpTelemetry,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: RequestTrace,
    ) -> None:
        self._started = layer.clock()
        self._layer = layer
        self._scope = scope
        self._receive = receive
        self._send = send
        self._trace = request
        method = scope["method"]
        self._method = method if method in METHODS else _other_method(method)
        self._route = layer.route(scope["path"])
        self._status = self._size = 0
        self._gone = self._body_read = False
        scheme = scope["scheme"]
        active = layer.active(
            self._method, self._route, scheme if scheme in _SCHEMES else names.OTHER
        )
        self._active: SumChild | None = active
        active.add(1)

    async def receive(self) -> Message:
        """Pass a message of the request on."""
        message = await self._receive()
        if message["type"] == DISCONNECT_MESSAGE:
            self._gone = True
        elif not message.get("more_body", False):
            self._body_read = True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the reply on; the last one ends the measurement."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            await self._send({**message, "headers": [*message.get("headers", ()), self._header()]})
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        self._size += len(message.get("body", b""))
        if message.get("more_body", False):
            await self._send(message)
            return
        await self._look_for_the_client()
        await self._send(message)
        self.finish(complete=True)

    def finish(self, *, complete: bool) -> None:
        """Count the request, once; afterwards further calls change nothing."""
        if self._active is None:
            return
        layer, scope = self._layer, self._scope
        duration = layer.clock() - self._started
        self._active.add(-1)
        self._active = None
        status, error = self._status, self._error(complete=complete)
        scheme, version = scope["scheme"], scope["http_version"]
        child = layer.duration(
            self._method,
            self._route,
            scheme if scheme in _SCHEMES else names.OTHER,
            version if version in _VERSIONS else names.OTHER,
            status,
            error,
        )
        request = self._trace
        sampled = request.sampled
        child.record(duration, Trace(request.trace_id, request.span_id) if sampled else None)
        late = not sampled and (error is not None or duration >= layer.traces.slow)
        if not late and layer.access is None:
            return
        tracer = layer.traces.tracer
        served = Served(
            scope,
            self._route,
            status,
            duration,
            error,
            self._size,
            request,
            sampled or (late and tracer is not None),
            layer.wall(),
        )
        if late and tracer is not None:
            _span_afterwards(tracer, self._method, served)
        if layer.access is not None:
            layer.access(served)

    def _error(self, *, complete: bool) -> str | None:
        client = presence(self._scope)
        if self._gone or (client is not None and client.gone):
            return names.DISCONNECT
        if self._status >= SERVER_ERROR:
            return str(self._status)
        return None if complete else names.INCOMPLETE

    def _header(self) -> tuple[bytes, bytes]:
        """W3C ``traceresponse``: which trace the caller has to look for."""
        request = self._trace
        late = self._status >= SERVER_ERROR and self._layer.traces.tracer is not None
        flags = request.sampled or late
        return TRACERESPONSE, b"00-%032x-%016x-%02x" % (request.trace_id, request.span_id, flags)

    async def _look_for_the_client(self) -> None:
        """Learn from another server than ours whether the client left while the reply was made.

        What is received on the way can't be part of the body, which is read.
        """
        slow = self._layer.clock() - self._started >= QUICK
        if slow and self._body_read and not self._gone and presence(self._scope) is None:
            self._gone = await Request(self._scope, self._receive).is_disconnected()


def _other_method(method: str) -> str:
    upper = method.upper()
    return upper if upper in METHODS else names.OTHER_METHOD


def _span_afterwards(tracer: Tracer, method: str, served: Served) -> None:
    """Make the span of a request that was not sampled, under the ids that its logs bear."""
    if current_request() is not served.trace:
        return  # left over from a request that was torn down elsewhere: its ids can't be given
    end = time.time_ns()
    attributes: dict[str, str | int | list[str]] = {
        names.HTTP_METHOD: method,
        names.HTTP_ROUTE: served.route,
        names.URL_SCHEME: served.scope["scheme"],
        "url.path": served.scope["path"],
        names.PROTOCOL_VERSION: served.scope["http_version"],
    }
    if served.status:
        attributes[names.HTTP_STATUS] = served.status
    if served.error is not None:
        attributes[names.ERROR_TYPE] = served.error
    ids = [value for name, value in served.scope["headers"] if name == REQUEST_ID_BYTES]
    if ids:
        attributes[names.REQUEST_ID] = [value.decode("latin-1") for value in ids]
    # A route that is unknown is no name, as in the standard instrumentation.
    verb = "HTTP" if method == names.OTHER_METHOD else method
    span = tracer.start_span(
        verb if served.route == names.OTHER else f"{verb} {served.route}",
        served.trace.parent,
        SpanKind.SERVER,
        attributes,
        start_time=end - int(served.duration * 1e9),
    )
    if served.error is not None:
        span.set_status(Status(StatusCode.ERROR))
    span.end(end)
