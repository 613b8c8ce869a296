"""An endpoint that hangs: nobody waits for it, and what is lost is counted."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING

import pytest
from testbed_otel import names
from testbed_otel.otlplogs import otlp_logs
from testbed_otel.sdk import TelemetrySettings, setup
from testbed_otel.settings import logs_wanted

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from tests.support.otlpreceiver import Receiver


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues of twenty, and the SDK's metrics about itself on."""
    for name in ("OTEL_BSP", "OTEL_BLRP"):
        monkeypatch.setenv(f"{name}_MAX_QUEUE_SIZE", "20")
        monkeypatch.setenv(f"{name}_MAX_EXPORT_BATCH_SIZE", "10")
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")


def _settings(receiver: Receiver) -> TelemetrySettings:
    return TelemetrySettings(receiver.url, math.inf, export_timeout=PATIENCE, trace_ratio=1.0)


def test_spans_beyond_the_queue_are_dropped_and_counted(receiver: Receiver) -> None:
    """While the endpoint hangs, 100 spans end: 10 are on their way, 20 wait, 70 are dropped."""
    receiver.gate.clear()
    telemetry = setup("ml-api", _settings(receiver))
    tracer = telemetry.tracer("test")

    def end(count: int) -> None:
        for _ in range(count):
            tracer.start_span("work").end()

    def processed(error: str = "") -> float:
        return sum(
            sample.value
            for family in telemetry.registry.collect()
            for sample in family.samples
            if sample.name == "otel_sdk_processor_span_processed_total"
            and sample.labels.get("error_type", "") == error
        )

    end(10)
    # A span that ends while the worker takes its batch may be counted as dropped and be kept: the
    # SDK looks at the queue and puts the span in without a lock. So the worker must be stuck first.
    assert receiver.held.wait(PATIENCE)
    end(90)
    assert (processed(), processed("queue_full")) == (10, 70)
    receiver.gate.set()
    telemetry.tracers.force_flush()  # waits for the worker's export, then sends the queue
    assert len(receiver.spans()) == 30
    assert (processed(), processed("queue_full")) == (30, 70)
    telemetry.shutdown()


def test_measuring_and_scraping_go_on_while_an_export_hangs(receiver: Receiver) -> None:
    """Nothing that a request or a scrape needs is held by the export."""
    telemetry = setup("ml-api", _settings(receiver))
    meter = telemetry.meter("test")
    labels = telemetry.sums(meter, names.LABELS)
    durations = telemetry.histogram(meter, names.MODEL_INFERENCE)
    labels.add(1, {names.OUTCOME: "stored"})
    receiver.gate.clear()
    push = threading.Thread(target=telemetry.flush)
    push.start()
    assert receiver.held.wait(PATIENCE)
    labels.add(1, {names.OUTCOME: "stored"})
    durations.record(0.1)
    telemetry.tracer("test").start_span("work").end()
    counted = telemetry.registry.get_sample_value("ml_labels_total", {"outcome": "stored"})
    assert counted == 2
    assert push.is_alive()
    receiver.gate.set()
    push.join(PATIENCE)
    assert receiver.sums()[names.LABELS.name] == 1
    assert telemetry.shutdown()
    assert receiver.sums()[names.LABELS.name] == 2


def test_logs_leave_over_otlp_and_never_wait(receiver: Receiver) -> None:
    """Records of the standard library and of the access log; more than fit don't block."""
    receiver.gate.clear()
    settings = _settings(receiver)
    telemetry = setup("ml-api", settings)
    logs = otlp_logs(telemetry, settings)
    assert logs is not None
    logger = logging.Logger("x")  # noqa: LOG001 - of the test alone, not kept in the registry
    logger.addHandler(logs.handler)
    for number in range(100):
        logger.warning("number %s", number)
    logs.access({"route": "/predict", "status": 200, "error": None})
    receiver.gate.set()
    logs.shutdown()
    telemetry.shutdown()
    assert 20 <= len(receiver.logs) < 100
    assert receiver.logs[-1] == "request"


def test_logs_stay_here_without_an_endpoint_or_the_setting(receiver: Receiver) -> None:
    """They are off by default, and go nowhere where nothing goes anywhere."""
    settings = TelemetrySettings(endpoint=None)
    assert otlp_logs(setup("ml-api", settings), settings) is None
    assert not logs_wanted({})
    assert logs_wanted({"OTEL_LOGS_EXPORTER": " OTLP "})
    assert not logs_wanted({"OTEL_LOGS_EXPORTER": "none"})
    assert not receiver.logs
