"""Metric names of other monitoring systems, made from the vocabulary's points at collection time.

A dashboard or an alert that was written for one of these systems finds its names on ``/metrics``
and in Prometheus alike, since both readers see the same points. A request pays nothing for it.
Several points of a source may fall together once attributes are left out: they are added up, or
the greatest counts.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Attributes = dict[str, Any]
FIRST_ERROR: Final = 400


class AliasError(ValueError):
    """A name that is not a preset. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Alias:
    """One name of another system.

    Attributes:
        name: the name in Prometheus, without the series suffixes of a histogram.
        source: the vocabulary's metric that has the numbers.
        kind: what the points become; a ``counter`` takes the counts of a histogram, a ``summary``
            its count and sum, a ``mean`` is a gauge of their quotient.
        labels: new label by the source's attribute; the others are left out.
        select: which points count, by their attributes; all by default.
        rename: new value of a label, by its name and old value.
        merge: what becomes of the values of points that fall together: two versions of a model that
            are loaded are not a 2.
    """

    name: str
    source: names.Metric
    kind: Literal["counter", "gauge", "histogram", "mean", "summary"]
    labels: tuple[tuple[str, str], ...] = ()
    select: Callable[[Mapping[str, Any]], bool] = lambda _attributes: True
    rename: Callable[[str, Any], Any] = lambda _label, value: value
    merge: Callable[[float, float], float] = operator.add

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series that Prometheus stores for it."""
        if self.kind in {"histogram", "summary"}:
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)


def _failed(attributes: Mapping[str, Any]) -> bool:
    return (
        int(attributes.get(names.HTTP_STATUS, 0)) >= FIRST_ERROR or names.ERROR_TYPE in attributes
    )


def _by_class(label: str, value: Any) -> Any:  # noqa: ANN401 - any attribute value
    """HTTP errors distinguished as 4xx and 5xx."""
    return f"{str(value)[0]}xx" if label == "error_type" else value


_HTTP: Final = (
    (names.HTTP_METHOD, "method"),
    (names.HTTP_ROUTE, "endpoint"),
    (names.HTTP_STATUS, "status"),
)
_ENDPOINT: Final = ((names.HTTP_METHOD, "method"), (names.HTTP_ROUTE, "endpoint"))

ALIASES: Final[Mapping[str, tuple[Alias, ...]]] = {
    "fastapi-instrumentator": (
        Alias("http_requests_total", names.HTTP_DURATION, "counter", _HTTP),
        Alias("http_request_duration_seconds", names.HTTP_DURATION, "histogram", _ENDPOINT),
        Alias("data_drift_score", names.DRIFT_RATIO, "gauge", merge=max),
    ),
    "titanic": (
        Alias(
            "ml_predictions_total",
            names.PREDICTIONS,
            "counter",
            ((names.MODEL_VERSION, "model_version"), (names.PREDICTION_CLASS, "prediction_class")),
        ),
        Alias("ml_prediction_latency_seconds", names.MODEL_INFERENCE, "histogram"),
        Alias(
            "ml_prediction_errors_total",
            names.PREDICTION_ERRORS,
            "counter",
            ((names.ERROR_TYPE, "error_type"),),
        ),
        Alias(
            "ml_prediction_confidence",
            names.PREDICTION_PROBABILITY,
            "mean",
            ((names.PREDICTION_CLASS, "class"),),
        ),
        Alias("ml_prediction_confidence_summary", names.PREDICTION_PROBABILITY, "summary"),
        Alias(
            "ml_model_accuracy",
            names.MODEL_ACCURACY,
            "gauge",
            ((names.MODEL_VERSION, "model_version"),),
        ),
        Alias(
            "ml_data_drift_detected_total",
            names.DRIFT_DETECTIONS,
            "counter",
            ((names.COLUMN, "feature"),),
        ),
        Alias("ml_data_drift_score", names.DRIFT_RATIO, "gauge", merge=max),
        Alias("ml_monitoring_requests_total", names.HTTP_DURATION, "counter"),
    ),
    "ml-api": (
        Alias("api_requests_total", names.HTTP_DURATION, "counter", _HTTP),
        Alias("api_request_duration_seconds", names.HTTP_DURATION, "histogram", _ENDPOINT),
        Alias("api_active_requests", names.HTTP_ACTIVE, "gauge"),
        Alias(
            "api_errors_total",
            names.HTTP_DURATION,
            "counter",
            ((names.HTTP_ROUTE, "endpoint"), (names.HTTP_STATUS, "error_type")),
            _failed,
            _by_class,
        ),
        Alias("model_loaded", names.MODEL_LOADED, "gauge", merge=max),
        Alias("model_inference_duration_seconds", names.MODEL_INFERENCE, "histogram"),
        Alias(
            "predictions_total",
            names.PREDICTIONS,
            "counter",
            ((names.PREDICTION_CLASS, "outcome"),),
        ),
    ),
    "course": (),  # names no metrics of its own
    "churn": (
        Alias("http_requests_total", names.HTTP_DURATION, "counter", _HTTP),
        Alias("http_request_duration_seconds", names.HTTP_DURATION, "histogram", _ENDPOINT),
    ),
}

JOBS: Final[Mapping[str, Mapping[str, str]]] = {
    "fastapi-instrumentator": {names.SERVICE_API: "fastapi", names.JOB_NODE: "node-exporter"},
}
"""System to the jobs under which it scrapes the API and the machine, by the testbed's own."""


def presets(text: str) -> tuple[str, ...]:
    """Names of presets in a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def aliases_of(chosen: Iterable[str]) -> tuple[Alias, ...]:
    """The aliases of some presets, each name once.

    A name that the vocabulary has itself is left out: it is there already.

    Raises:
        AliasError: a preset is not known.
    """
    own = {metric.prometheus for metric in names.METRICS}
    found: dict[str, Alias] = {}
    for preset in chosen:
        if preset not in ALIASES:
            raise AliasError(f"{preset!r} is not a preset: choose from {', '.join(ALIASES)}")
        for alias in ALIASES[preset]:
            if alias.name not in own:
                found.setdefault(alias.name, alias)
    return tuple(found.values())


def jobs_of(system: str) -> Mapping[str, str]:
    """The jobs of a system by the testbed's own; none of an empty name.

    Raises:
        AliasError: it has none.
    """
    if system and system not in JOBS:
        raise AliasError(f"{system!r} has no job names of its own: choose from {', '.join(JOBS)}")
    return JOBS.get(system, {})
