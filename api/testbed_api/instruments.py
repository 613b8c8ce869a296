"""The API's own metrics; those of HTTP come from the FastAPI instrumentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from testbed_otel import names
from testbed_otel.sdk import counter, gauge, histogram

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, Meter
    from opentelemetry.metrics import _Gauge as Gauge


@dataclass(frozen=True, slots=True)
class Instruments:
    """One instrument per metric of the vocabulary that the API's own code fills."""

    model_loaded: Gauge
    traffic: Gauge
    batch_wait: Histogram
    batch_size: Histogram
    batches: Counter
    shadow: Counter
    cache: Counter
    inference: Histogram
    predictions: Counter
    errors: Counter
    confidence: Histogram
    log_rows: Counter
    log_write: Histogram
    log_spooled: Gauge
    log_state: Gauge
    labels: Counter
    key_requests: Counter

    @classmethod
    def create(cls, meter: Meter) -> Self:
        """Make them; counters with a closed set of values begin at 0.

        ``rate`` and ``increase`` don't see the first increment of a series that was not there.
        """
        made = cls(
            model_loaded=gauge(meter, names.MODEL_LOADED),
            traffic=gauge(meter, names.MODEL_TRAFFIC),
            batch_wait=histogram(meter, names.BATCH_WAIT),
            batch_size=histogram(meter, names.BATCH_SIZE),
            batches=counter(meter, names.BATCH_DISPATCHES),
            shadow=counter(meter, names.SHADOW_PREDICTIONS),
            cache=counter(meter, names.CACHE_REQUESTS),
            inference=histogram(meter, names.MODEL_INFERENCE),
            predictions=counter(meter, names.PREDICTIONS),
            errors=counter(meter, names.PREDICTION_ERRORS),
            confidence=histogram(meter, names.PREDICTION_CONFIDENCE),
            log_rows=counter(meter, names.LOG_ROWS),
            log_write=histogram(meter, names.LOG_WRITE_DURATION),
            log_spooled=gauge(meter, names.LOG_SPOOLED),
            log_state=gauge(meter, names.LOG_STATE),
            labels=counter(meter, names.LABELS),
            key_requests=counter(meter, names.API_KEY_REQUESTS),
        )
        for metric, instrument in (
            (names.PREDICTION_ERRORS, made.errors),
            (names.LOG_ROWS, made.log_rows),
            (names.LABELS, made.labels),
        ):
            for attribute, values in metric.values:
                for value in values:
                    instrument.add(0, {attribute: value})
        return made

    def set_log_state(self, state: Literal["writing", "spooling", "failing"]) -> None:
        """Say what happens to rows of the prediction log now."""
        for attribute, values in names.LOG_STATE.values:
            for value in values:
                self.log_state.set(int(value == state), {attribute: value})
