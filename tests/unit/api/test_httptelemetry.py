"""The layer around the application: what it counts, when it stops, and what gets a trace."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from testbed_api.presence import PRESENCE, ClientPresence
from testbed_api.telemetry.http import HttpTelemetry, Served, Traces
from testbed_api.telemetry.routes import RouteTable
from testbed_otel import names
from testbed_otel.children import HistogramMetricFamily, SumMetricFamily
from testbed_otel.tracing import HeadSampler, RequestIds, current_request, current_trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

PARENT = "0af7651916cd43dd8448eb211c80319c"


@dataclass
class Layer:
    """A layer around an application that a test writes, and all that it measures."""

    ratio: float = 0.0
    now: float = 0.0
    app: Callable[..., Awaitable[None]] | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    served: list[Served] = field(default_factory=list)
    replies: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.durations = HistogramMetricFamily(names.HTTP_DURATION, current_trace)
        self.active = SumMetricFamily(names.HTTP_ACTIVE)
        self.exporter = InMemorySpanExporter()
        tracers = TracerProvider(ALWAYS_ON, id_generator=RequestIds(), shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = tracers.get_tracer("test")
        self.layer = HttpTelemetry(
            self._plain,
            self._traced,
            lambda: RouteTable(["/predict", "/items/{item}", "/health"]),
            (self.durations, self.active),
            Traces(HeadSampler(self.ratio, Random(1)), self.tracer, slow=1.0),  # noqa: S311 - seeded
            uncounted=("/health",),
            access=self.served.append,
            clock=lambda: self.now,
        )

    async def _plain(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        await (self.app or self.answer())(scope, receive, send)

    async def _traced(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        with self.tracer.start_as_current_span("standard"):
            await self._plain(scope, receive, send)

    def answer(self, status: int = 200, seconds: float = 0.25) -> Callable[..., Awaitable[None]]:
        """An application that takes some seconds and answers."""

        async def app(_scope: object, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            await receive()
            self.now += seconds
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"0123"})

        return app

    async def request(self, path: str = "/predict", method: str = "POST", **more: Any) -> None:  # noqa: ANN401 - parts of a scope
        """Send one request."""
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
            self.replies.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": self.headers}
        scope |= {"scheme": "http", "http_version": "1.1", **more}
        await self.layer(scope, receive, send)

    def durations_by(self, *attributes: str) -> dict[tuple[Any, ...], float]:
        """Sum of the durations by some attributes."""
        return {
            tuple(dict(key).get(name) for name in attributes): child.point().total
            for key, child in self.durations.children()
        }

    @property
    def in_flight(self) -> dict[Any, int]:
        """Requests in flight by route."""
        return {dict(key)[names.HTTP_ROUTE]: child.value for key, child in self.active.children()}

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """All spans that have ended."""
        return self.exporter.get_finished_spans()


@pytest.fixture
def layer() -> Layer:
    """A layer that samples nothing."""
    return Layer()


async def test_duration_ends_with_the_reply(layer: Layer) -> None:
    """Background tasks run while the caller has its reply: they count neither as time nor load."""
    seen = []

    async def app(scope: object, receive: object, send: object) -> None:
        await layer.answer()(scope, receive, send)
        seen.append(layer.in_flight["/predict"])
        layer.now += 100

    layer.app = app
    await layer.request()
    assert layer.durations_by(names.HTTP_STATUS) == {(200,): 0.25}
    assert seen == [0]


async def test_streamed_reply_ends_with_its_last_part(layer: Layer) -> None:
    """Not with its first."""

    async def app(_scope: object, _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI
        await send({"type": "http.response.start", "status": 200})
        for more in (True, True, False):
            layer.now += 1
            await send({"type": "http.response.body", "body": b"ab", "more_body": more})

    layer.app = app
    await layer.request()
    assert layer.durations_by(names.ERROR_TYPE) == {(None,): 3.0}
    assert layer.served[0].size == 6


async def test_requests_in_flight_have_their_route(layer: Layer) -> None:
    """Two at a time on one route, one on another, and none in the end."""
    gate, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def app(scope: object, receive: object, send: object) -> None:
        arrived.release()
        await gate.wait()
        await layer.answer()(scope, receive, send)

    layer.app = app
    paths = ("/predict", "/predict", "/items/7", "/nowhere")
    tasks = [asyncio.create_task(layer.request(path)) for path in paths]
    for _ in tasks:
        await arrived.acquire()
    assert layer.in_flight == {"/predict": 2, "/items/{item}": 1, "other": 1}
    gate.set()
    await asyncio.gather(*tasks)
    assert set(layer.in_flight.values()) == {0}


async def test_client_that_left_is_distinguished(layer: Layer) -> None:
    """The reply was made for nobody: its status stays, and the error says why."""
    layer.gone.set()
    await layer.request()
    layer.gone.clear()
    await layer.request()
    assert layer.durations_by(names.HTTP_STATUS, names.ERROR_TYPE) == {
        (200, "client_disconnect"): 0.25,
        (200, None): 0.25,
    }


async def test_server_that_reports_is_not_asked(layer: Layer) -> None:
    """What our server says of the client counts, whether or not a message has come."""
    client = ClientPresence()
    await layer.request(extensions={PRESENCE: client})
    client.leave()
    await layer.request(extensions={PRESENCE: client})
    assert layer.durations_by(names.HTTP_STATUS, names.ERROR_TYPE) == {
        (200, None): 0.25,
        (200, "client_disconnect"): 0.25,
    }


async def test_looking_for_the_client_takes_no_part_of_a_body(layer: Layer) -> None:
    """An application that answers before it reads still gets all that it then reads."""
    read = []

    async def app(scope: object, receive: Any, send: object) -> None:  # noqa: ANN401 - ASGI
        async def nothing() -> dict[str, object]:
            return {"type": "http.request", "more_body": True}

        await layer.answer()(scope, nothing, send)
        read.append(await receive())

    layer.app = app
    await layer.request()
    assert read == [{"type": "http.request", "body": b"", "more_body": False}]


async def test_reply_that_breaks_off_is_incomplete(layer: Layer) -> None:
    """A failure after the reply began is an error, whatever status the reply began with."""

    async def app(_scope: object, _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI
        await send({"type": "http.response.start", "status": 200})
        raise RuntimeError

    layer.app = app
    with pytest.raises(RuntimeError):
        await layer.request()
    assert list(layer.durations_by(names.HTTP_STATUS, names.ERROR_TYPE)) == [(200, "incomplete")]
    assert layer.in_flight == {"/predict": 0}


async def test_values_of_attributes_are_bounded(layer: Layer) -> None:
    """Whatever a scanner invents, there is one series for it."""
    for number in range(50):
        more = {"scheme": f"s{number}", "http_version": f"{number + 10}"}
        await layer.request(f"/x{number}", f"M{number}", **more)
    (key,) = [dict(key) for key, _ in layer.durations.children()]
    assert key == {
        names.HTTP_METHOD: "_OTHER",
        names.HTTP_ROUTE: "other",
        names.HTTP_STATUS: 200,
        names.URL_SCHEME: "other",
        names.PROTOCOL_VERSION: "other",
    }


async def test_uncounted_paths_leave_no_trace(layer: Layer) -> None:
    """Neither a series nor a line of the access log."""
    await layer.request("/health")
    assert not layer.durations.children()
    assert not layer.served


@pytest.mark.parametrize(("status", "seconds"), [(500, 0.1), (200, 1.0)])
async def test_errors_and_slow_requests_always_get_a_span(
    layer: Layer, status: int, seconds: float
) -> None:
    """Made afterwards, it has the true times and the ids that the caller and the logs have."""
    layer.app = layer.answer(status, seconds)
    before = time.time()
    await layer.request("/items/7", "GET")
    after = time.time()
    (span,) = layer.spans
    assert before <= layer.served[0].time <= after
    assert before <= (span.end_time or 0) / 1e9 <= after
    assert span.start_time is not None
    assert span.end_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(seconds)
    assert (span.name, span.kind) == ("GET /items/{item}", trace.SpanKind.SERVER)
    assert span.status.is_ok is (status == 200)
    attributes = span.attributes or {}
    assert attributes[names.HTTP_STATUS] == status
    assert attributes["url.path"] == "/items/7"
    context = span.get_span_context()
    request = layer.served[0].trace
    assert context is not None
    assert (context.trace_id, context.span_id) == (request.trace_id, request.span_id)
    assert span.parent is None


async def test_late_span_bears_the_id_of_its_request(layer: Layer) -> None:
    """By it the caller finds the span, as in the standard instrumentation."""
    layer.app = layer.answer(500)
    layer.headers = [(b"x-request-id", b"mine")]
    await layer.request()
    assert dict(layer.spans[0].attributes or {})[names.REQUEST_ID] == ("mine",)


async def test_others_get_none_where_nothing_is_sampled(layer: Layer) -> None:
    """A good and fast request costs no span, and a refused one doesn't either."""
    await layer.request()
    layer.app = layer.answer(422)
    await layer.request()
    assert not layer.spans
    assert [served.traced for served in layer.served] == [False, False]


async def test_share_of_the_requests_is_sampled() -> None:
    """The ratio decides, before anything else; exemplars come from that share."""
    layer = Layer(ratio=0.1)
    for _ in range(500):
        await layer.request()
    assert 25 < len(layer.spans) < 80
    ids = {served.trace.trace_id for served in layer.served if served.traced}
    assert {span.context.trace_id for span in layer.spans} == ids
    ((_, child),) = layer.durations.children()
    assert {each.trace.trace_id for each in child.point().exemplars} <= ids


@pytest.mark.parametrize(("flag", "spans"), [("01", 1), ("00", 0)])
async def test_decision_of_the_caller_is_taken_over(flag: str, spans: int) -> None:
    """Sampled callers get their span whatever the ratio, others get none."""
    layer = Layer(ratio=1e-9 if flag == "01" else 1.0)
    layer.headers = [(b"traceparent", f"00-{PARENT}-b7ad6b7169203331-{flag}".encode())]
    await layer.request()
    assert len(layer.spans) == spans
    assert f"{layer.served[0].trace.trace_id:032x}" == PARENT


async def test_late_span_belongs_to_its_caller(layer: Layer) -> None:
    """An error of an unsampled trace still shows under that trace."""
    layer.headers = [(b"traceparent", f"00-{PARENT}-b7ad6b7169203331-00".encode())]
    layer.app = layer.answer(503)
    await layer.request()
    (span,) = layer.spans
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == f"{PARENT}-b7ad6b7169203331"


@pytest.mark.parametrize(
    "header", [b"", b"nonsense", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"]
)
async def test_broken_parent_counts_as_none(layer: Layer, header: bytes) -> None:
    """The request starts a trace of its own."""
    layer.headers = [(b"traceparent", header)]
    await layer.request()
    assert layer.served[0].trace.trace_id


@pytest.mark.parametrize(("status", "flag"), [(200, "00"), (500, "01")])
async def test_reply_names_its_trace(layer: Layer, status: int, flag: str) -> None:
    """W3C ``traceresponse`` says the ids, and whether there is anything to look at."""
    layer.app = layer.answer(status)
    await layer.request()
    request = layer.served[0].trace
    expected = f"00-{request.trace_id:032x}-{request.span_id:016x}-{flag}"
    assert layer.replies[0]["headers"] == [(b"traceresponse", expected.encode())]


async def test_unsampled_request_has_a_context(layer: Layer) -> None:
    """Clients and logs inside of it find its ids, and that it isn't sampled."""
    contexts = []

    async def app(scope: object, receive: object, send: object) -> None:
        contexts.append(trace.get_current_span().get_span_context())
        await layer.answer()(scope, receive, send)

    layer.app = app
    await layer.request()
    request = layer.served[0].trace
    assert (contexts[0].trace_id, contexts[0].span_id) == (request.trace_id, request.span_id)
    assert not contexts[0].trace_flags.sampled
    assert current_request() is None
    assert not trace.get_current_span().get_span_context().is_valid
