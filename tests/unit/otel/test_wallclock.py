"""A process whose wall clock is wrong: all that leaves it says so, and by the same rule."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from testbed_otel import names
from testbed_otel.otlplogs import otlp_logs
from testbed_otel.sdk import Telemetry, TelemetrySettings, setup
from testbed_otel.tracing import RequestTrace, reset_current, set_current
from testbed_otel.wallclock import NANOSECONDS, WallClock, restamped_metrics, restamped_spans

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.otlpreceiver import Receiver

HOUR = 3600.0
NEAR = 60.0
"""Seconds within which all of a test happens."""


def test_every_moment_shows_what_the_clock_showed_then() -> None:
    """Ahead, behind, right again: a stamp is of the moment at which it was made."""
    now = [100]
    clock = WallClock(lambda: now[0])
    assert (clock.was_set, clock.shown(100), clock.time()) == (False, 100, 100 / NANOSECONDS)
    for moment, seconds in ((200, 5.0), (300, -2.0), (400, 0.0)):
        now[0] = moment
        clock.set_ahead(seconds)
    ahead = [clock.shown(moment) - moment for moment in (199, 200, 299, 300, 399, 400, 500)]
    assert ahead == [each * NANOSECONDS for each in (0, 5, 5, -2, -2, 0, 0)]
    assert clock.was_set
    now[0] = 350
    assert clock.time() == (350 - 2 * NANOSECONDS) / NANOSECONDS


def test_what_a_right_clock_stamped_leaves_as_it_is() -> None:
    """Nothing is copied in a process whose clock was never set."""
    spans: list[object] = []
    data = object()
    assert restamped_spans(spans, WallClock()) is spans  # type: ignore[arg-type]
    assert restamped_metrics(data, WallClock()) is data  # type: ignore[arg-type]


def times_of(message: Any) -> Iterator[tuple[str, int]]:  # noqa: ANN401 - of protobuf, untyped
    """Every time stamp in a message, however deep, with its name."""
    for field, value in message.ListFields():
        if field.name.endswith("time_unix_nano"):
            yield field.name, value
        elif field.type == field.TYPE_MESSAGE:
            for each in value if field.is_repeated else (value,):
                yield from times_of(each)


def test_all_that_leaves_is_stamped_by_the_wrong_clock(receiver: Receiver) -> None:
    """Spans with their events, points with their exemplars, log records; the start stays."""
    settings = TelemetrySettings(receiver.url, math.inf, export_timeout=PATIENCE, trace_ratio=1.0)
    began = time.time()
    telemetry = setup("ml-api", settings)
    logs = otlp_logs(telemetry, settings)
    assert logs is not None
    telemetry.clock.set_ahead(HOUR)
    measured(telemetry)
    span = telemetry.tracer("test").start_span("work", attributes={"a": 1})
    span.add_event("half")
    span.end()
    logs.access({"route": "/predict"})
    logs.shutdown()
    telemetry.flush()
    telemetry.shutdown()
    found = [
        each
        for message in (*receiver.metrics, *receiver.traces, *receiver.log_records)
        for each in times_of(message)
    ]
    wrong = {name for name, at in found if abs(at / NANOSECONDS - began - HOUR) < NEAR}
    right = {name for name, at in found if abs(at / NANOSECONDS - began) < NEAR}
    # A counter began when the process did, which the clock showed rightly.
    assert right == {"start_time_unix_nano"}
    assert wrong == {
        "time_unix_nano", "observed_time_unix_nano", "start_time_unix_nano", "end_time_unix_nano",
    }  # fmt: skip
    assert len(found) == sum(abs(at / NANOSECONDS - began) < HOUR + NEAR for _, at in found)
    (sent,) = receiver.all_spans()
    assert [each.key for each in sent.attributes] == ["a"]
    (event,) = sent.events
    assert sent.start_time_unix_nano <= event.time_unix_nano <= sent.end_time_unix_nano


def measured(telemetry: Telemetry) -> None:
    """A counter, and a histogram with an exemplar."""
    telemetry.sums(telemetry.meter("test"), names.LABELS).add(1, {names.OUTCOME: "stored"})
    token = set_current(RequestTrace(1, 2, sampled=True))
    telemetry.histogram(telemetry.meter("test"), names.MODEL_INFERENCE).record(0.1)
    reset_current(token)
