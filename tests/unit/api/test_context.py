"""W3C trace context through a served request: from its caller, to what it calls, into its spans."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from testbed_api.telemetry.http import HttpTelemetry, Traces
from testbed_api.telemetry.routes import route_table
from testbed_otel import names
from testbed_otel.children import HistogramMetricFamily, SumMetricFamily
from testbed_otel.tracing import HeadSampler, RequestIds, current_trace

pytestmark = pytest.mark.anyio

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STATE = "vendor=a1,other=b2"


@pytest.fixture(autouse=True)
def _conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the application sets it; read once per process."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")


@dataclass
class Served:
    """One request through the real instrumentation, and what it called."""

    outgoing: dict[str, str] = field(default_factory=dict)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    answer: httpx.Response | None = None

    async def serve(self, *, ratio: float = 0.0, **headers: str) -> Served:
        """Serve it; inside of it two spans are made and one call goes out."""
        tracers = TracerProvider(ALWAYS_ON, id_generator=RequestIds(), shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        tracer = tracers.get_tracer("test")
        app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

        @app.post("/predict")
        async def predict() -> dict[str, str]:
            if trace.get_current_span().is_recording():
                for name in ("one", "two"):
                    tracer.start_span(name).end()
            propagate.inject(self.outgoing)
            return {}

        stack = app.build_middleware_stack()
        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=tracers,
            meter_provider=NoOpMeterProvider(),
            exclude_spans=["receive", "send"],
        )
        layer = HttpTelemetry(
            lambda scope, *rest: stack({**scope, "app": app}, *rest),
            app,
            lambda: route_table(app.routes),
            (
                HistogramMetricFamily(names.HTTP_DURATION, current_trace),
                SumMetricFamily(names.HTTP_ACTIVE),
            ),
            Traces(HeadSampler(ratio, Random(1)), tracer),  # noqa: S311 - repeatable on purpose
        )
        transport: Any = httpx.ASGITransport(layer)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            self.answer = await client.post("/predict", headers=headers)
        FastAPIInstrumentor.uninstrument_app(app)
        return self

    @property
    def called(self) -> tuple[str, str, str]:
        """What a callee receives: trace, parent, and whether it is sampled."""
        _, trace_id, span_id, flags = self.outgoing["traceparent"].split("-")
        return trace_id, span_id, f"{int(flags, 16) & 1:02x}"  # a further flag says: random ids

    @property
    def own(self) -> tuple[str, str]:
        """Trace and span id of the request, as its reply names them."""
        assert self.answer is not None
        _, trace_id, span_id, _ = self.answer.headers["traceresponse"].split("-")
        return trace_id, span_id


@pytest.mark.parametrize(("flag", "ratio"), [("01", 1e-9), ("00", 1.0)])
async def test_context_of_the_caller_goes_on_to_what_is_called(flag: str, ratio: float) -> None:
    """Same trace, same decision, the request as the parent, and the vendors' state untouched."""
    served = await Served().serve(
        ratio=ratio, traceparent=f"00-{TRACE}-{CALLER}-{flag}", tracestate=STATE
    )
    trace_id, span_id = served.own
    assert trace_id == TRACE
    assert span_id != CALLER
    assert served.called == (TRACE, span_id, flag)
    assert served.outgoing["tracestate"] == STATE


@pytest.mark.parametrize(("ratio", "flag"), [(1.0, "01"), (0.0, "00")])
async def test_request_without_a_caller_begins_a_trace(ratio: float, flag: str) -> None:
    """What it calls belongs to that trace, sampled or not."""
    served = await Served().serve(ratio=ratio)
    assert served.called == (*served.own, flag)
    assert "tracestate" not in served.outgoing


async def test_spans_inside_of_a_request_have_ids_of_their_own() -> None:
    """Only the request's span bears the request's id; the others are below it."""
    served = await Served().serve(ratio=1e-9, traceparent=f"00-{TRACE}-{CALLER}-01")
    spans = {span.name: span for span in served.exporter.get_finished_spans()}
    assert set(spans) == {"POST /predict", "one", "two"}
    assert len({span.context.span_id for span in spans.values()}) == 3
    parents = {name: span.parent.span_id for name, span in spans.items() if span.parent}
    _, own = served.own
    assert parents == {"POST /predict": int(CALLER, 16), "one": int(own, 16), "two": int(own, 16)}
    assert {span.context.trace_id for span in spans.values()} == {int(TRACE, 16)}
