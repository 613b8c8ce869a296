"""Defects in what the API counts and times: the instruments lie, service and log don't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testbed_api.serving.service import Service
from testbed_api.telemetry.accuracy import Accuracy
from testbed_api.telemetry.instruments import Instruments
from testbed_otel import children, names
from testbed_otel.sdk import Telemetry

from testbed.selftest.patches.tools import Every, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed_otel.names import Metric

Attributes = dict[str, Any]
CONSTANT_SECONDS: Final = 0.004


def _attributes(metric: Metric, change: Callable[[Attributes], Attributes]) -> None:
    """Change the attributes of a metric's measurements."""

    def child(original: Any, family: Any, attributes: Mapping[str, Any] | None = None) -> Any:
        given = dict(attributes or {})
        return original(family, change(given) if family.metric is metric else given)

    wrap(children._MetricFamily, "child", child)  # noqa: SLF001 - every family's only way to its numbers


def _values(metric: Metric, change: Callable[[float], float]) -> None:
    """Change the values that a histogram records."""

    class Altered(children.HistogramChild):
        def record(self, value: float, trace: children.Trace | None = None) -> None:
            super().record(change(value), trace)

    def make(original: Any, telemetry: Any, meter: Any, wanted: Metric) -> Any:
        family = original(telemetry, meter, wanted)
        if wanted is metric:
            family._make = lambda: Altered(metric.buckets)
        return family

    wrap(Telemetry, "histogram", make)


def _set(key: str, value: str, *, where: str | None = None) -> Callable[[Attributes], Attributes]:
    """Give an attribute a value, always or in place of one value."""

    def change(given: Attributes) -> Attributes:
        if where is not None and str(given.get(key)) != where:
            return given
        return {**given, key: value}

    return change


def predictions_twice() -> None:
    """Every prediction is counted twice."""

    def reply(original: Any, service: Any, served: Any, logged: Any, scored: Any) -> Any:
        service.instruments.predictions.add(1, served.classes[scored.index])
        return original(service, served, logged, scored)

    wrap(Service, "_reply", reply)


def active_twice() -> None:
    """Every request in flight is counted twice."""

    class Doubled(children.SumChild):
        def add(self, amount: int) -> None:
            super().add(2 * amount)

    def make(original: Any, telemetry: Any, meter: Any, wanted: Metric) -> Any:
        family = original(telemetry, meter, wanted)
        if wanted is names.HTTP_ACTIVE:
            family._make = Doubled
        return family

    wrap(Telemetry, "sums", make)


def one_in_a_hundred_uncounted() -> None:
    """One prediction in a hundred is not counted."""
    chosen = Every(100)

    def add(
        original: Any, family: Any, amount: int, attributes: Any = children.NO_ATTRIBUTES
    ) -> None:
        lost = family.metric is names.PREDICTIONS and amount and chosen()
        original(family, 0 if lost else amount, attributes)

    wrap(children.SumMetricFamily, "add", add)


def wrong_version() -> None:
    """Predictions are counted under another model version."""
    _attributes(names.PREDICTIONS, _set(names.MODEL_VERSION, "v0-old"))


def classes_swapped() -> None:
    """Predictions of class 1 are counted as class 0."""
    _attributes(names.PREDICTIONS, _set(names.PREDICTION_CLASS, "0", where="1"))


def confidence_inverted() -> None:
    """The histogram of probabilities gets 1 - p."""
    _values(names.PREDICTION_PROBABILITY, lambda value: 1.0 - value)


def confidence_rounded() -> None:
    """The histogram of probabilities gets values that are rounded to tenths."""
    _values(names.PREDICTION_PROBABILITY, lambda value: round(value, 1))


def correct_is_wrong() -> None:
    """Right decisions are counted as wrong ones, and the other way round."""

    def count(original: Any, accuracy: Accuracy, decisions: Any) -> None:
        swapped = [
            (v, reported, "no such class" if reported == true else reported)
            for v, reported, true in decisions
        ]
        original(accuracy, swapped)

    wrap(Accuracy, "count", count)


def latency_constant() -> None:
    """Every request takes the same time in the metrics."""
    _values(names.HTTP_DURATION, lambda _value: CONSTANT_SECONDS)


def latency_too_small() -> None:
    """Durations of requests are recorded 30 % too small."""
    _values(names.HTTP_DURATION, lambda value: 0.7 * value)


def latency_doubled() -> None:
    """Durations of requests are recorded twice as long."""
    _values(names.HTTP_DURATION, lambda value: 2.0 * value)


def inference_in_milliseconds() -> None:
    """Durations of inference are recorded in milliseconds under a name that says seconds."""
    _values(names.MODEL_INFERENCE, lambda value: 1000.0 * value)


def log_writes_in_milliseconds() -> None:
    """Durations of commits are recorded in milliseconds under a name that says seconds."""
    _values(names.LOG_WRITE_DURATION, lambda value: 1000.0 * value)


def log_state_stuck() -> None:
    """Every state of the prediction log holds at the same time."""

    def set_state(_original: Any, instruments: Any, _state: str) -> None:
        for attribute, states in names.LOG_STATE.values:
            for state in states:
                instruments.log_state.set(1, {attribute: state})

    wrap(Instruments, "set_log_state", set_state)


def batches_eightfold() -> None:
    """Batches are recorded as eight times as large as they are."""
    _values(names.BATCH_SIZE, lambda value: 8.0 * value)


def errors_as_successes() -> None:
    """Answers with 500 and 503 are counted as 200."""

    def change(given: Attributes) -> Attributes:
        failed = str(given.get(names.HTTP_STATUS)) in {"500", "503"}
        return {**given, names.HTTP_STATUS: 200} if failed else given

    _attributes(names.HTTP_DURATION, change)


def unavailable_as_error() -> None:
    """Answers with 503 are counted as 500."""

    def change(given: Attributes) -> Attributes:
        shed = str(given.get(names.HTTP_STATUS)) == "503"
        return {**given, names.HTTP_STATUS: 500, names.ERROR_TYPE: "500"} if shed else given

    _attributes(names.HTTP_DURATION, change)


def error_kind_wrong() -> None:
    """Injected errors are counted as errors of the model."""
    _attributes(names.PREDICTION_ERRORS, _set(names.ERROR_TYPE, "model", where="injected"))


def buckets_coarse() -> None:
    """The histogram of request durations has other buckets than the vocabulary says."""

    def make(original: Any, telemetry: Any, meter: Any, wanted: Metric) -> Any:
        if wanted is names.HTTP_DURATION:
            coarse = wanted.buckets[::2]
            family = original(telemetry, meter, wanted)
            object.__setattr__(wanted, "buckets", coarse)
            family._make = lambda: children.HistogramChild(coarse)
            return family
        return original(telemetry, meter, wanted)

    wrap(Telemetry, "histogram", make)


def labels_twice() -> None:
    """Every label that is stored is counted twice."""

    def add(
        original: Any, family: Any, amount: int, attributes: Any = children.NO_ATTRIBUTES
    ) -> None:
        double = family.metric is names.LABELS and dict(attributes).get(names.OUTCOME) == "stored"
        original(family, 2 * amount if double else amount, attributes)

    wrap(children.SumMetricFamily, "add", add)
