"""Children and their families: bounded by the vocabulary, right under threads, seen to overflow."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest
from testbed_otel import names
from testbed_otel.children import OVERFLOW, HistogramMetricFamily, SumMetricFamily, Trace
from testbed_otel.sdk import TelemetrySettings, gauge, setup

if TYPE_CHECKING:
    from testbed_otel.sdk import Telemetry

    from tests.support.otlpreceiver import Receiver

METRIC = names.Metric(
    "test.things", "counter", "{thing}", "Things.", ("kind", "colour"), (("kind", ("a", "other")),)
)
TIMES = names.Metric("test.times", "histogram", "s", "Times.", ("kind",), buckets=(1.0, 2.0))


@pytest.fixture
def telemetry() -> Telemetry:
    """Telemetry that is pushed nowhere."""
    return setup("test", TelemetrySettings(endpoint=None))


def _values(family: SumMetricFamily) -> dict[tuple[tuple[str, object], ...], int]:
    return {key: child.value for key, child in family.children()}


def test_values_outside_of_the_vocabulary_count_as_other() -> None:
    """A closed set stays closed, and unknown attributes make no series."""
    family = SumMetricFamily(METRIC)
    family.add(1, {"kind": "a", "colour": "red"})
    family.add(2, {"colour": "red", "kind": "a", "user": "x"})
    family.add(3, {"kind": "b", "colour": "red"})
    family.add(4, {"kind": "c", "colour": "red"})
    red = ("colour", "red")
    assert _values(family) == {(("kind", "a"), red): 3, (("kind", "other"), red): 7}


def test_series_beyond_the_limit_share_one() -> None:
    """The first ones keep their series, the rest is counted together, and nothing is lost."""
    family = SumMetricFamily(METRIC, limit=3)
    for number in range(10):
        family.add(1, {"kind": "a", "colour": str(number % 5)})
    values = _values(family)
    assert len(values) == 4
    assert values[OVERFLOW] == 4
    assert sum(values.values()) == 10


def test_endless_new_values_take_no_endless_memory() -> None:
    """What is remembered of the attributes as given is bounded as well."""
    family = SumMetricFamily(METRIC, limit=3)
    for number in range(1000):
        family.add(1, {"kind": str(number)})
    assert _values(family) == {(("kind", "other"),): 1000}
    assert len(family._given) == 3


def test_boundary_belongs_to_the_bucket_below() -> None:
    """As the OpenTelemetry data model has it, with minimum and maximum."""
    family = HistogramMetricFamily(TIMES)
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        family.record(value)
    point = family.child().point()
    assert point.counts == (2, 2, 1)
    assert (point.total, point.minimum, point.maximum) == (7.5, 0.5, 2.5)


def test_each_bucket_keeps_its_last_exemplar() -> None:
    """Only sampled measurements become exemplars."""
    traces = [Trace(1, 1), None, Trace(2, 2), Trace(3, 3)]
    family = HistogramMetricFamily(TIMES, trace=lambda: traces.pop(0))
    for value in (0.5, 0.6, 0.7, 1.5):
        family.record(value)
    found = [(each.value, each.trace) for each in family.child().point().exemplars]
    assert found == [(0.7, Trace(2, 2)), (1.5, Trace(3, 3))]


def test_threads_lose_nothing_and_points_are_consistent() -> None:
    """While eight threads write, every point that is read adds up."""
    family, counter = HistogramMetricFamily(TIMES), SumMetricFamily(METRIC)
    child = family.child()

    def work() -> None:
        for _ in range(5_000):
            family.record(1.5)
            counter.add(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        point = child.point()
        assert point.total == 1.5 * sum(point.counts)
    for thread in threads:
        thread.join()
    assert child.point().counts == (0, 40_000, 0)
    assert counter.child().value == 40_000


@pytest.mark.parametrize("family", [SumMetricFamily, HistogramMetricFamily])
def test_family_of_another_kind_is_refused(
    family: type[SumMetricFamily | HistogramMetricFamily],
) -> None:
    """The kind is the vocabulary's to say."""
    with pytest.raises(ValueError, match=r"ml\.model\.loaded"):
        family(names.MODEL_LOADED)


def test_limit_that_bites_shows_on_a_metric(telemetry: Telemetry) -> None:
    """From 0 on, and with as many measurements as have lost their attributes."""
    meter = telemetry.meter("test")
    sums, times = SumMetricFamily(METRIC, limit=1), HistogramMetricFamily(TIMES, limit=1)
    telemetry.bridge.add(meter, sums, times)
    sums.add(1, {"kind": "a"})

    def overflow(metric: str) -> float | None:
        list(
            telemetry.registry.collect()
        )  # reported with the collection after the one that sees it
        return telemetry.registry.get_sample_value(
            "telemetry_series_overflow_total", {"metric": metric}
        )

    assert (overflow("test.things"), overflow("test.times")) == (0, 0)
    sums.add(5, {"kind": "a", "colour": "blue"})
    for kind in ("a", "b", "c"):
        times.record(1, {"kind": kind})
    assert (overflow("test.things"), overflow("test.times")) == (5, 2)


def test_limit_of_the_sdk_shows_on_the_same_metric(telemetry: Telemetry) -> None:
    """Ordinary instruments have a limit of the SDK's own, which would bite unseen."""
    meter = telemetry.meter("test")
    telemetry.bridge.add(meter, SumMetricFamily(METRIC))
    counter = meter.create_counter("plain")
    for number in range(2_010):
        counter.add(1, {"number": number})
    list(telemetry.registry.collect())
    found = telemetry.registry.get_sample_value(
        "telemetry_series_overflow_total", {"metric": "plain"}
    )
    assert found is not None
    assert found >= 10


def test_push_and_scrape_show_the_same_metrics(receiver: Receiver) -> None:
    """Sums of children, histograms of children and ordinary instruments all leave by both doors."""
    telemetry = setup("test", TelemetrySettings(receiver.url, math.inf, export_timeout=5))
    meter = telemetry.meter("test")
    telemetry.sums(meter, names.LABELS).add(3, {"outcome": "stored"})
    telemetry.histogram(meter, names.MODEL_INFERENCE).record(0.5)
    gauge(meter, names.MODEL_LOADED).set(1)
    assert telemetry.flush()
    pushed = {
        metric.name
        for resource in receiver.metrics[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    metrics = (names.LABELS, names.MODEL_INFERENCE, names.MODEL_LOADED, names.TELEMETRY_OVERFLOW)
    assert {metric.name for metric in metrics} <= pushed
    scraped = {sample.name for each in telemetry.registry.collect() for sample in each.samples}
    assert {series for metric in metrics for series in metric.prometheus_series} <= scraped
    telemetry.shutdown()
