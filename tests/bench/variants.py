"""Serves one model on one port, instrumented in one of several ways; to compare what they cost.

``bare`` is what all ratios are of: a plain FastAPI route with the API's own pydantic schema and the
same ONNX session on one thread, no middleware, the same uvicorn settings. The others put one
widespread instrumentation around that same application.

Usage: ``python variants.py VARIANT ARTEFACT PORT [OTLP]``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from prometheus_fastapi_instrumentator import Instrumentator
from testbed_api.http.schemas import row_adapter
from testbed_api.serving.runtime import OnnxRuntime
from testbed_domain.artefact import load_artefact
from testbed_domain.encoding import decode, encode


def bare(artefact_path: Path) -> FastAPI:
    """The application without any telemetry."""
    artefact = load_artefact(artefact_path)
    schema, rows, runtime = artefact.schema, row_adapter(artefact.schema), OnnxRuntime(artefact)
    runtime.load()
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        row = rows.validate_json(await request.body())
        scored = decode(schema, runtime.predict(encode(schema, [row])))[0]
        return JSONResponse(
            {
                "prediction": schema.classes[scored.index],
                "probability": scored.probability,
                "probabilities": scored.probabilities,
                "model_version": artefact.version,
                "synthetic": artefact.synthetic,
            }
        )

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _standard(app: FastAPI, otlp: str, sampler: Any) -> None:  # noqa: ANN401 - its type is private
    metrics = OTLPMetricExporter(f"{otlp}/v1/metrics")
    tracers = TracerProvider(sampler)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{otlp}/v1/traces")))
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=tracers,
        meter_provider=MeterProvider([PeriodicExportingMetricReader(metrics, 1000)]),
        exclude_spans=["receive", "send"],
    )


def main() -> None:
    """Serve until the end."""
    variant, artefact, port, otlp = sys.argv[1:]
    app = bare(Path(artefact))
    if variant == "instrumentator":
        Instrumentator().instrument(app).expose(app)
    elif variant == "otel_metrics":
        _standard(app, otlp, ALWAYS_OFF)
    elif variant == "otel_traces":
        _standard(app, otlp, ALWAYS_ON)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
