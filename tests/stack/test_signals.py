"""Logs, traces and metrics of one request, through a real Collector."""

from __future__ import annotations

import gzip
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from testbed.layout import RunLayout
from testbed.stack.arguments import collector_argv
from testbed.stack.build import Tools, find
from testbed.stack.configuration import NativeConfiguration, render_native
from testbed_domain.artefact import Artefact

from tests.support.polling import PATIENCE, wait_for
from tests.support.ports import free_port
from tests.support.processes import running

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@dataclass
class Backend:
    """Stands for Prometheus and for the trace viewer: takes OTLP and keeps the spans."""

    spans: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def serve(self) -> ThreadingHTTPServer:
        """Listen on a free loopback port."""
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    backend.keep(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base's name
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def keep(self, body: bytes) -> None:
        """Names and trace ids."""
        self.spans += [
            (span.name, span.trace_id.hex())
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@dataclass(frozen=True)
class Launch:
    """What the Collector's command line is made of."""

    tools: Tools
    layout: RunLayout
    endpoints: dict[str, str]
    configuration: NativeConfiguration
    factor: float = 60.0


@dataclass
class Collector:
    """A running Collector."""

    otlp: str
    own_metrics: str
    log: Path
    backend: Backend

    def counts(self, name: str) -> int:
        """Sum of one of its own counters; 0 where it is not there yet."""
        page = httpx.get(self.own_metrics, timeout=30).text
        return sum(int(float(value)) for value in re.findall(rf"(?m)^{name}\{{.*\}} (\S+)$", page))

    def passes_on(self, kind: str) -> None:
        """Wait until something of a kind has come and all of it was sent on."""

        def done() -> bool:
            accepted = self.counts(f"otelcol_receiver_accepted_{kind}_total")
            return accepted == self.counts(f"otelcol_exporter_sent_{kind}_total") > 0

        wait_for(done, 15, f"{kind} are not sent on: {self.log.read_text()[-2000:]}")


@pytest.fixture
def collector(tmp_path: Path, repository: Path, tools: None) -> Iterator[Collector]:  # noqa: ARG001 - needed first
    """The Collector with the project's configuration; the backends are the test's own."""
    backend = Backend()
    server = backend.serve()
    layout = RunLayout(tmp_path / "run").create()
    mine = ("collector:4317", "collector:4318", "collector:8888", "collector:13133")
    endpoints = {address: f"127.0.0.1:{free_port()}" for address in mine} | {
        "prometheus:9090": f"127.0.0.1:{backend.port}",
        "jaeger:4318": f"127.0.0.1:{backend.port}",
    }
    native = render_native(layout, source=repository, endpoints=endpoints, factor=60.0)
    launch = Launch(find(), layout, endpoints, native)
    log = layout.logs / "collector.log"
    health = f"http://{endpoints['collector:13133']}/"
    try:
        with running(collector_argv(launch), log, health):
            yield Collector(
                f"http://{endpoints['collector:4318']}",
                f"http://{endpoints['collector:8888']}/metrics",
                log,
                backend,
            )
    finally:
        server.shutdown()
        server.server_close()


def test_log_lines_and_spans_of_a_request_meet_under_its_trace(
    collector: Collector, small_artefact: Artefact, start_api: Callable[..., Any], tmp_path: Path
) -> None:
    """The caller's trace id is in the access log's record, in the span and in the local line."""
    access = tmp_path / "access.jsonl"
    api = start_api(
        small_artefact.path,
        otlp=collector.otlp,
        environment={
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "250",
            "TESTBED_API_ACCESS_LOG": str(access),
        },
    )
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    url = f"http://127.0.0.1:{api.port}/predict"
    reply = httpx.post(url, json=row, headers={"traceparent": TRACEPARENT}, timeout=30)
    assert reply.is_success
    api.process.send_signal(signal.SIGTERM)
    assert api.process.wait(PATIENCE) == 0, api.output.read_text()

    for kind in ("log_records", "spans", "metric_points"):
        collector.passes_on(kind)
    records = collector.log.read_text().split("LogRecord #")[1:]
    (of_request,) = (record for record in records if f"Trace ID: {TRACE_ID}" in record)
    assert "/predict" in of_request
    assert TRACE_ID in access.read_text()
    assert {trace for _, trace in collector.backend.spans} == {TRACE_ID}


def test_logs_stay_local_by_default(
    collector: Collector, small_artefact: Artefact, start_api: Callable[..., Any]
) -> None:
    """Without the setting no log record leaves the process, while metrics do."""
    api = start_api(small_artefact.path, otlp=collector.otlp)
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    assert httpx.post(f"http://127.0.0.1:{api.port}/predict", json=row, timeout=30).is_success
    api.process.send_signal(signal.SIGTERM)
    assert api.process.wait(PATIENCE) == 0, api.output.read_text()
    assert collector.counts("otelcol_receiver_accepted_metric_points_total") > 0
    assert collector.counts("otelcol_receiver_accepted_log_records_total") == 0
