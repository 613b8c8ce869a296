"""The dashboard “ML Model Metrics”: predictions, accuracy, business figures and drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.models import units
from testbed_otel import names

from testbed_grafana.assembly import assemble, replicas
from testbed_grafana.ml_api_monitoring import INFERENCE_LIMIT, drift_panels, quantiles
from testbed_grafana.model_quality import estimated_and_realised, quality_panels
from testbed_grafana.panels import Query, graph, newest, number, per_second
from testbed_grafana.promql import (
    API_TARGET,
    equals,
    label,
    legend,
    like,
    mean,
    quantile_by,
    rate,
    rate_by,
    select,
    sum_by,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from testbed_grafana.assembly import Panels

TITLE: Final = "ML Model Metrics"
UID: Final = "ml-model-metrics"

HOUR: Final = 3600


def _prediction_panels() -> Panels:
    by_class = (names.PREDICTION_CLASS,)
    all_ = rate(select(names.PREDICTIONS.prometheus, *API_TARGET))
    return (
        graph(
            "Predictions per Version and Class",
            "Predictions per second.",
            per_second(names.PREDICTIONS, names.MODEL_VERSION, names.PREDICTION_CLASS),
            unit=units.CountsPerSecond,
        ),
        graph(
            "Share of each Class",
            "Share of the predictions that say each class. Classifiers only.",
            Query(
                f"{rate_by(names.PREDICTIONS, by_class)} "
                f"/ ignoring ({label(names.PREDICTIONS, *by_class)}) group_left () sum({all_})",
                legend(names.PREDICTIONS, *by_class),
            ),
            unit=units.PercentUnit,
        ),
        graph(
            "Median Confidence per Class",
            "Probability of the predicted class that half of its predictions stay below. "
            "Classifiers only.",
            Query(
                quantile_by(0.5, names.PREDICTION_PROBABILITY, by_class, *API_TARGET),
                legend(names.PREDICTION_PROBABILITY, *by_class),
            ),
            unit=units.PercentUnit,
        ),
        graph(
            "Mean Confidence per Version",
            "Mean probability of the predicted class. Classifiers only.",
            Query(
                mean(names.PREDICTION_PROBABILITY, (names.MODEL_VERSION,), *API_TARGET),
                legend(names.PREDICTION_PROBABILITY, names.MODEL_VERSION),
            ),
            unit=units.PercentUnit,
        ),
        graph(
            "Inference Time p50/p95/p99",
            "Quantiles of the time that the model takes for one request.",
            *quantiles(names.MODEL_INFERENCE),
            unit=units.Seconds,
            limit=INFERENCE_LIMIT,
        ),
        graph(
            "Prediction Errors",
            "Failed predictions per second, by kind.",
            per_second(names.PREDICTION_ERRORS, names.ERROR_TYPE),
            unit=units.CountsPerSecond,
        ),
    )


def _accuracy_panels() -> Panels:
    by_version = (names.MODEL_VERSION,)
    right = equals(names.DECISIONS, names.OUTCOME, "correct")
    return (
        graph(
            "Accuracy",
            "Share of right predictions among those whose label came, in the window of a sample "
            "and since the start of each replica. Classifiers only.",
            Query(
                f"{rate_by(names.DECISIONS, by_version, right)} "
                f"/ {rate_by(names.DECISIONS, by_version)}",
                legend(names.DECISIONS, *by_version),
            ),
            newest(names.MODEL_ACCURACY, *by_version, where=API_TARGET, word="since start"),
            unit=units.PercentUnit,
        ),
        graph(
            "Labels",
            "Labels per second that came, by what became of them.",
            per_second(names.LABELS, names.OUTCOME),
            unit=units.CountsPerSecond,
        ),
        graph(
            "Traffic per Version",
            "Share of the requests that champion and challenger answer.",
            Query(
                f"max by ({label(names.MODEL_TRAFFIC, *by_version)}) "
                f"({select(names.MODEL_TRAFFIC.prometheus, *API_TARGET)})",
                legend(names.MODEL_TRAFFIC, *by_version),
            ),
            unit=units.PercentUnit,
        ),
    )


def _number_panels() -> Panels:
    """Predicted numbers and their errors: of regressions only."""
    by_version = (names.MODEL_VERSION,)
    value, error = names.PREDICTION_VALUE, names.PREDICTION_ABSOLUTE_ERROR
    score = names.PERFORMANCE_SCORE
    others = like(score, names.SCORE, "rmse|r2|mean_error")
    return (
        graph(
            "Mean Predicted Number",
            "Mean of the predicted numbers. Regressions only.",
            Query(mean(value, by_version, *API_TARGET), legend(value, *by_version)),
            unit=units.Short,
        ),
        graph(
            "Median Predicted Number",
            "Number that half of the predictions stay below, from buckets that are coarse: three a "
            "decade. Regressions only.",
            Query(quantile_by(0.5, value, by_version, *API_TARGET), legend(value, *by_version)),
            unit=units.Short,
        ),
        graph(
            "Absolute Error as Labels Come",
            "Mean distance of predicted from true numbers whose label comes now. Regressions only.",
            Query(mean(error, by_version, *API_TARGET), legend(error, *by_version)),
            unit=units.Short,
        ),
        estimated_and_realised(
            "mae",
            "Mean Absolute Error: Estimated and Realised",
            "Of the last window: realised by its labels, estimated without them (twice its "
            "standard error below and above), and in the reference. Regressions only.",
            units.Short,
        ),
        graph(
            "Further Errors of Numbers",
            "Root mean square error, R² and mean error (prediction less label) of the last "
            "window's labelled rows. Regressions only.",
            newest(
                score,
                names.SCORE,
                names.MODEL_VERSION,
                where=(others, equals(score, names.BASIS, "realised")),
            ),
            unit=units.Short,
        ),
        graph(
            "Residual Drift",
            "Distance of the labelled rows' residuals from the reference's, in their standard "
            "deviations. Regressions only.",
            newest(
                names.CONCEPT_SCORE,
                names.METHOD,
                where=(like(names.CONCEPT_SCORE, names.METHOD, ".*_residuals_wasserstein"),),
            ),
            unit=units.Short,
        ),
    )


def _business_panels() -> Panels:
    """What decisions cost: one line per business figure of the use case."""
    by_figure = (names.KPI, names.MODEL_VERSION)
    version = label(names.DECISIONS, names.MODEL_VERSION)
    series = select(names.BUSINESS_COST.prometheus, *API_TARGET)
    cost = rate_by(names.BUSINESS_COST, by_figure)
    decided = rate_by(names.DECISIONS, (names.MODEL_VERSION,))
    named = legend(names.BUSINESS_COST, *by_figure)
    return (
        number(
            "Cost so Far",
            "What decisions with a label cost since the replicas started, in each figure's unit. "
            "Classifiers only.",
            Query(
                sum_by(names.BUSINESS_COST, (names.KPI,), series),
                legend(names.BUSINESS_COST, names.KPI),
            ),
            unit=units.Short,
        ),
        graph(
            "Cost per Hour",
            "What decisions whose label comes now cost, if it goes on like this.",
            Query(f"{HOUR} * {cost}", named),
            unit=units.Short,
        ),
        graph(
            "Cost per Decision",
            "Mean cost of a decision, by figure and version: the lower one is the better model.",
            Query(f"{cost} / on ({version}) group_left () {decided}", named),
            unit=units.Short,
        ),
    )


def _column_panels() -> Panels:
    return (
        graph(
            "Windows that Drifted",
            "Windows in which each column drifted, since the drift job started.",
            Query(
                sum_by(names.DRIFT_DETECTIONS, (names.COLUMN,), names.DRIFT_DETECTIONS.prometheus),
                legend(names.DRIFT_DETECTIONS, names.COLUMN),
            ),
            unit=units.Short,
        ),
        graph(
            "Drift of Target and Predictions",
            "Scores of the labels and of the predictions in the last window.",
            newest(names.TARGET_DRIFT, names.METHOD, word="target"),
            newest(names.PREDICTION_DRIFT, names.METHOD, word="prediction"),
            unit=units.Short,
        ),
    )


def build() -> Dashboard:
    """The dashboard, ready to be encoded."""
    return assemble(
        UID,
        TITLE,
        "Predictions of the model, how right they are, what they cost, and whether data drifts.",
        (replicas(),),
        (
            ("Predictions", _prediction_panels()),
            ("Accuracy and versions", _accuracy_panels()),
            ("Model quality", quality_panels()),
            ("Numbers (regressions only)", _number_panels()),
            ("Business figures", _business_panels()),
            ("Drift", (*drift_panels(), *_column_panels())),
        ),
    )
