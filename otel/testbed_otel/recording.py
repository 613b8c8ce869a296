"""Records predictions, errors and accuracy by hand, for a model that this project doesn't serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from testbed_otel import names
from testbed_otel.sdk import gauge

if TYPE_CHECKING:
    from testbed_otel.children import HistogramMetricFamily, SumMetricFamily
    from testbed_otel.sdk import Gauge, Telemetry


@dataclass(frozen=True, slots=True)
class Recorder:
    """Fills the vocabulary's metrics of predictions. Threads may share one.

    Attributes:
        predictions: counts predictions by version and class.
        probability: probabilities of the predicted classes.
        inference: durations of predictions.
        errors: counts errors by kind.
        accuracy: share of right predictions per version.
    """

    predictions: SumMetricFamily
    probability: HistogramMetricFamily
    inference: HistogramMetricFamily
    errors: SumMetricFamily
    accuracy: Gauge

    @classmethod
    def create(cls, telemetry: Telemetry) -> Self:
        """The recorder of a process, made once; errors of each kind begin at 0."""
        meter = telemetry.meter("testbed_otel.recording")
        made = cls(
            telemetry.sums(meter, names.PREDICTIONS),
            telemetry.histogram(meter, names.PREDICTION_PROBABILITY),
            telemetry.histogram(meter, names.MODEL_INFERENCE),
            telemetry.sums(meter, names.PREDICTION_ERRORS),
            gauge(meter, names.MODEL_ACCURACY),
        )
        for kind in dict(names.PREDICTION_ERRORS.values)[names.ERROR_TYPE]:
            made.errors.add(0, {names.ERROR_TYPE: kind})
        return made

    def record_prediction(
        self,
        model_version: str,
        prediction_class: str,
        *,
        confidence: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """Count one prediction.

        Args:
            model_version: the version that made it.
            prediction_class: what it said; of a set that is small, for each makes a series.
            confidence: probability of that class, 0 to 1.
            seconds: how long it took.

        Raises:
            ValueError: the confidence or the duration can't be one; nothing is counted.
        """
        if confidence is not None:
            _check_ratio("confidence", confidence)
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds: {seconds} is not a valid duration")
        version = {names.MODEL_VERSION: model_version}
        attributes = {**version, names.PREDICTION_CLASS: prediction_class}
        self.predictions.add(1, attributes)
        if confidence is not None:
            self.probability.record(confidence, attributes)
        if seconds is not None:
            self.inference.record(seconds, version)

    def record_error(self, kind: str, model_version: str | None = None) -> None:
        """Count one prediction that failed.

        Args:
            kind: what went wrong; one that the vocabulary lacks counts as other.
            model_version: the version that was asked; None where that is not known.
        """
        attributes = {names.ERROR_TYPE: kind}
        if model_version is not None:
            attributes[names.MODEL_VERSION] = model_version
        self.errors.add(1, attributes)

    def record_accuracy(self, model_version: str, accuracy: float) -> None:
        """Publish the accuracy of a version, in place of the one before.

        Args:
            model_version: the version that it holds for.
            accuracy: share of right predictions, 0 to 1.

        Raises:
            ValueError: it is no share.
        """
        _check_ratio("accuracy", accuracy)
        self.accuracy.set(accuracy, {names.MODEL_VERSION: model_version})


def _check_ratio(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: {value} is not from 0 to 1")
