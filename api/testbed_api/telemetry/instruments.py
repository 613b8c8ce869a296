"""The API's metrics: children for all that requests touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from opentelemetry.metrics import CallbackOptions, Observation
from testbed_otel import names
from testbed_otel.recording import Recorder
from testbed_otel.sdk import gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import Meter
    from testbed_otel.children import HistogramMetricFamily, SumMetricFamily
    from testbed_otel.sdk import Gauge, Telemetry


class LoadedModels:
    """The gauge of loaded models: asked for, not set, so that what leaves has no value any more.

    Args:
        meter: makes the instrument.
    """

    def __init__(self, meter: Meter) -> None:
        metric = names.MODEL_LOADED
        self._read: Callable[[], Iterable[tuple[int, Mapping[str, str]]]] = tuple
        meter.create_observable_gauge(metric.name, [self._observe], metric.unit, metric.help)

    def follow(self, read: Callable[[], Iterable[tuple[int, Mapping[str, str]]]]) -> None:
        """Ask for values and their attributes here from now on; in any thread."""
        self._read = read

    def _observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, attributes) for value, attributes in self._read()]


@dataclass(frozen=True, slots=True)
class Instruments:
    """One instrument per metric of the vocabulary that the API fills."""

    http_duration: HistogramMetricFamily
    http_active: SumMetricFamily
    model_loaded: LoadedModels
    traffic: Gauge
    batch_wait: HistogramMetricFamily
    batch_size: HistogramMetricFamily
    batches: SumMetricFamily
    shadow: SumMetricFamily
    cache: SumMetricFamily
    inference: HistogramMetricFamily
    predictions: SumMetricFamily
    errors: SumMetricFamily
    probability: HistogramMetricFamily
    value: HistogramMetricFamily
    absolute_error: HistogramMetricFamily
    decisions: SumMetricFamily
    accuracy: Gauge
    log_rows: SumMetricFamily
    log_write: HistogramMetricFamily
    log_spooled: Gauge
    log_state: Gauge
    labels: SumMetricFamily
    key_requests: SumMetricFamily
    access_lines: SumMetricFamily
    replica_starts: SumMetricFamily

    @classmethod
    def create(cls, telemetry: Telemetry) -> Self:
        """Make them, once per process; counters with a closed set of values begin at 0.

        ``rate`` and ``increase`` don't see the first increment of a series that was not there.
        """
        meter = telemetry.meter("testbed_api")
        made = cls(
            http_duration=telemetry.histogram(meter, names.HTTP_DURATION),
            http_active=telemetry.sums(meter, names.HTTP_ACTIVE),
            model_loaded=LoadedModels(meter),
            traffic=gauge(meter, names.MODEL_TRAFFIC),
            batch_wait=telemetry.histogram(meter, names.BATCH_WAIT),
            batch_size=telemetry.histogram(meter, names.BATCH_SIZE),
            batches=telemetry.sums(meter, names.BATCH_DISPATCHES),
            shadow=telemetry.sums(meter, names.SHADOW_PREDICTIONS),
            cache=telemetry.sums(meter, names.CACHE_REQUESTS),
            inference=telemetry.histogram(meter, names.MODEL_INFERENCE),
            predictions=telemetry.sums(meter, names.PREDICTIONS),
            errors=telemetry.sums(meter, names.PREDICTION_ERRORS),
            probability=telemetry.histogram(meter, names.PREDICTION_PROBABILITY),
            value=telemetry.histogram(meter, names.PREDICTION_VALUE),
            absolute_error=telemetry.histogram(meter, names.PREDICTION_ABSOLUTE_ERROR),
            decisions=telemetry.sums(meter, names.DECISIONS),
            accuracy=gauge(meter, names.MODEL_ACCURACY),
            log_rows=telemetry.sums(meter, names.LOG_ROWS),
            log_write=telemetry.histogram(meter, names.LOG_WRITE_DURATION),
            log_spooled=gauge(meter, names.LOG_SPOOLED),
            log_state=gauge(meter, names.LOG_STATE),
            labels=telemetry.sums(meter, names.LABELS),
            key_requests=telemetry.sums(meter, names.API_KEY_REQUESTS),
            access_lines=telemetry.sums(meter, names.ACCESS_LOG_LINES),
            replica_starts=telemetry.sums(meter, names.REPLICA_STARTS),
        )
        for metric, family in (
            (names.LOG_ROWS, made.log_rows),
            (names.LABELS, made.labels),
            (names.ACCESS_LOG_LINES, made.access_lines),
        ):
            for attribute, values in metric.values:
                for value in values:
                    family.add(0, {attribute: value})
        return made

    @property
    def recorder(self) -> Recorder:
        """Records what is entered by hand, in the same metrics."""
        return Recorder(
            self.predictions, self.probability, self.inference, self.errors, self.accuracy
        )

    def set_log_state(self, state: Literal["writing", "spooling", "failing"]) -> None:
        """Say what happens to rows of the prediction log now."""
        for attribute, values in names.LOG_STATE.values:
            for value in values:
                self.log_state.set(int(value == state), {attribute: value})
