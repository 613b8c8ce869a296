"""``/monitoring``: the metrics as a summary for people, and entries by hand to try alerts with.

What is entered by hand stands in the same series as real traffic, under versions that no loaded
model bears. A setting turns it on; runs of a scenario leave it off.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import StringConstraints
from testbed_otel import names

from testbed_api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric
    from testbed_otel.recording import Recorder

    from testbed_api.serving.service import Service

# Further versions and classes count as other, so that nobody makes series without end.
ENTRY_LIMIT: Final = 20
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
Ratio = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)]


def summary(families: Iterable[Metric]) -> dict[str, Any]:
    """Totals since the start of the replica.

    Args:
        families: what is on ``/metrics``.

    Returns:
        Ready for JSON; a mean of nothing is None.
    """
    values: defaultdict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for family in families:
        for sample in family.samples:
            values[sample.name].append((sample.labels, sample.value))

    def by(metric: names.Metric, attribute: str) -> dict[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        for labels, value in values[metric.prometheus]:
            if names.label(attribute) in labels:  # predicted numbers have no class
                found[labels[names.label(attribute)]] += value
        return dict(found)

    def total(series: str) -> float:
        return sum(value for _, value in values[series])

    def mean(metric: names.Metric) -> float | None:
        _, sums, counts = metric.prometheus_series
        return total(sums) / total(counts) if total(counts) else None

    return {
        "predictions": total(names.PREDICTIONS.prometheus),
        "predictions_by_version": by(names.PREDICTIONS, names.MODEL_VERSION),
        "predictions_by_class": by(names.PREDICTIONS, names.PREDICTION_CLASS),
        "mean_confidence": mean(names.PREDICTION_PROBABILITY),
        "mean_inference_seconds": mean(names.MODEL_INFERENCE),
        "errors": total(names.PREDICTION_ERRORS.prometheus),
        "errors_by_type": by(names.PREDICTION_ERRORS, names.ERROR_TYPE),
        "labels_by_outcome": by(names.LABELS, names.OUTCOME),
        "accuracy_by_version": by(names.MODEL_ACCURACY, names.MODEL_VERSION),
        "requests": total(f"{names.HTTP_DURATION.prometheus}_count"),
    }


class _Bounded:
    """The first values that come; what comes beyond is other."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        if value not in self._seen and len(self._seen) >= ENTRY_LIMIT:
            return names.OTHER
        self._seen.add(value)
        return value


def entry_router(service: Service, recorder: Recorder) -> APIRouter:
    """``POST /monitoring/test/prediction`` and ``/accuracy``.

    Args:
        service: knows the versions that really answer.
        recorder: takes the entries.
    """
    router = APIRouter(prefix="/monitoring/test", tags=["monitoring"])
    versions, classes = _Bounded(), _Bounded()

    def version(text: str) -> str:
        if text in {model.artefact.version for model in service.versions.routing.models().values()}:
            raise ApiError(409, "other", "a model of this version is loaded: its metrics are real")
        return versions(text)

    @router.post("/prediction", status_code=201)
    async def prediction(
        model_version: Word, prediction_class: Word, confidence: Ratio
    ) -> dict[str, Any]:
        entered, predicted = version(model_version), classes(prediction_class)
        recorder.record_prediction(entered, predicted, confidence=confidence)
        return {
            "model_version": entered,
            "prediction_class": predicted,
            "confidence": confidence,
        }

    @router.post("/accuracy", status_code=201)
    async def accuracy(model_version: Word, accuracy: Ratio) -> dict[str, Any]:
        entered = version(model_version)
        recorder.record_accuracy(entered, accuracy)
        return {"model_version": entered, "accuracy": accuracy}

    return router
