"""The children say what the standard instrumentation says, of the same requests."""

from __future__ import annotations

import asyncio
import itertools
import math
from random import Random
from typing import TYPE_CHECKING, Any

import opentelemetry.instrumentation.asgi as standard_asgi
import pytest
from fastapi import FastAPI, HTTPException, Response
from opentelemetry.instrumentation._semconv import (
    _OpenTelemetrySemanticConventionStability as Conventions,
)
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from testbed_api.telemetry.http import HttpTelemetry, Traces
from testbed_api.telemetry.routes import route_table
from testbed_otel import names
from testbed_otel.sdk import Telemetry, TelemetrySettings, setup
from testbed_otel.tracing import HeadSampler

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tests.support.otlpreceiver import Receiver

REQUESTS = 2_500
PATHS = ["/predict", "/items/7", "/items/8", "/fail", "/missing", "/crash", "/nowhere/1", "/x/y"]
METHODS = ["GET", "POST", "POST", "POST", "DELETE", "BREW", "get"]
SERIES = dict[frozenset[tuple[str, str]], dict[str, Any]]


class _Clock:
    """Seconds that pass only where an application says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    # It is read once per process, perhaps by an earlier test that did not care.
    monkeypatch.setattr(Conventions, "_initialized", False)


def _application(clock: _Clock) -> FastAPI:
    """Answers of many kinds; each takes a time of its own."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    random = Random(7)  # noqa: S311 - repeatable on purpose

    def pass_time() -> None:
        clock.now += random.lognormvariate(-4, 2)

    @app.api_route("/predict", methods=["GET", "POST"])
    async def predict() -> Response:
        pass_time()
        return Response(b"{}", 200)

    @app.post("/items/{item}")
    async def item(item: int) -> Response:
        pass_time()
        return Response(b"{}", 201 if item == 7 else 422)

    @app.get("/fail")
    @app.post("/fail")
    async def fail() -> Response:
        pass_time()
        return Response(b"no", 503)

    @app.post("/missing")
    async def missing() -> Response:
        pass_time()
        raise HTTPException(404)

    @app.post("/crash")
    async def crash() -> Response:
        pass_time()
        raise RuntimeError("a bug")

    return app


def _requests() -> list[dict[str, Any]]:
    random = Random(3)  # noqa: S311 - repeatable on purpose
    return [
        {
            "type": "http",
            "http_version": random.choice(["1.0", "1.1", "1.1"]),
            "scheme": random.choice(["http", "http", "https"]),
            "method": random.choice(METHODS),
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"api")],
            "server": ("api", 80),
            "client": ("client", 1234),
        }
        for path in (random.choice(PATHS) for _ in range(REQUESTS))
    ]


async def _drive(app: ASGIApp) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
        del message

    for scope in _requests():
        try:
            await app(scope, receive, send)
        except RuntimeError as error:
            assert str(error) == "a bug"  # noqa: PT017 - the server sees it after the reply


def _standard(monkeypatch: pytest.MonkeyPatch) -> SERIES:
    """What opentelemetry-instrumentation-fastapi measures."""
    clock = _Clock()
    monkeypatch.setattr(standard_asgi, "default_timer", clock)
    app = _application(clock)
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    tracers = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers, meter_provider=meters)
    asyncio.run(_drive(app))
    FastAPIInstrumentor.uninstrument_app(app)
    data: Any = reader.get_metrics_data()
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == names.HTTP_DURATION.name
        for point in metric.data.data_points
    ]
    return {
        _key({**point.attributes}): _values(point, list(point.bucket_counts)) for point in points
    }


def _key(attributes: dict[str, Any]) -> frozenset[tuple[str, str]]:
    # The conventions leave the route of an unknown path out; here it has a value.
    attributes.setdefault(names.HTTP_ROUTE, names.OTHER)
    return frozenset((name, str(value)) for name, value in attributes.items())


def _values(point: Any, buckets: list[int]) -> dict[str, Any]:  # noqa: ANN401 - of the SDK or OTLP
    return {
        "count": point.count,
        "sum": point.sum,
        "min": point.min,
        "max": point.max,
        "buckets": buckets,
        "bounds": tuple(point.explicit_bounds),
    }


def _ours(receiver: Receiver) -> Telemetry:
    """Serve the same requests through the layer; push once."""
    clock = _Clock()
    telemetry = setup(
        "ml-api", TelemetrySettings(receiver.url, math.inf, export_timeout=5, trace_ratio=0.05)
    )
    meter = telemetry.meter("test")
    app = _application(clock)
    stack = app.build_middleware_stack()
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=telemetry.chosen, meter_provider=NoOpMeterProvider()
    )
    layer = HttpTelemetry(
        lambda scope, *rest: stack({**scope, "app": app}, *rest),
        app,
        lambda: route_table(app.routes),
        (
            telemetry.histogram(meter, names.HTTP_DURATION),
            telemetry.sums(meter, names.HTTP_ACTIVE),
        ),
        Traces(HeadSampler(0.05, Random(1))),  # noqa: S311 - repeatable on purpose
        clock=clock,
    )
    asyncio.run(_drive(layer))
    assert telemetry.flush()
    return telemetry


def _pushed(receiver: Receiver) -> list[Any]:
    return [
        point
        for resource in receiver.metrics[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == names.HTTP_DURATION.name
        for point in metric.histogram.data_points
    ]


def _attributes(point: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf has no types here
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in point.attributes
    }


def _scraped(telemetry: Telemetry) -> SERIES:
    labels = {names.label(name): name for name in names.HTTP_DURATION.attributes}
    series: SERIES = {}
    cumulative: dict[frozenset[tuple[str, str]], dict[float, float]] = {}
    for family in telemetry.registry.collect():
        for sample in family.samples:
            suffix = sample.name.removeprefix(names.HTTP_DURATION.prometheus + "_")
            key = frozenset(
                (labels[name], value)
                for name, value in sample.labels.items()
                if value and name in labels
            )
            if suffix in {"count", "sum"}:
                series.setdefault(key, {})[suffix] = sample.value
            elif suffix == "bucket":
                cumulative.setdefault(key, {})[float(sample.labels["le"])] = sample.value
    for key, values in cumulative.items():
        counts = [0.0, *values.values()]
        series[key]["buckets"] = [high - low for low, high in itertools.pairwise(counts)]
        series[key]["bounds"] = tuple(values)[:-1]
        assert tuple(values)[-1] == math.inf
    return series


@pytest.mark.slow
def test_all_values_are_those_of_the_standard_instrumentation(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 10,000 requests every series, count, sum, bucket, minimum and maximum is the same."""
    standard = _standard(monkeypatch)
    telemetry = _ours(receiver)
    pushed = {
        _key(_attributes(point)): _values(point, list(point.bucket_counts))
        for point in _pushed(receiver)
    }
    assert sum(values["count"] for values in standard.values()) == REQUESTS
    assert len(standard) > 50
    assert pushed == standard
    carried = {
        key: {name: values[name] for name in ("count", "sum", "buckets", "bounds")}
        for key, values in standard.items()
    }
    assert _scraped(telemetry) == carried
    telemetry.shutdown()


def test_exemplars_name_sampled_traces(receiver: Receiver) -> None:
    """The exemplars are of the sampled twentieth, each in its bucket, and their spans exist."""
    telemetry = _ours(receiver)
    telemetry.shutdown()
    spans = {
        (span.trace_id, span.span_id)
        for request in receiver.traces
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    found = 0
    for point in _pushed(receiver):
        bounds = [-math.inf, *point.explicit_bounds, math.inf]
        for exemplar in point.exemplars:
            assert (exemplar.trace_id, exemplar.span_id) in spans
            bucket = next(
                index
                for index, (low, high) in enumerate(itertools.pairwise(bounds))
                if low < exemplar.as_double <= high
            )
            assert point.bucket_counts[bucket]
            found += 1
    assert found > 50
    assert max(len(point.exemplars) for point in _pushed(receiver)) > 3
