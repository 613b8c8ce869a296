"""Panels of model quality: performance, labels and data quality, as the drift job finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.models import units
from testbed_otel import names

from testbed_grafana.panels import Query, graph, newest
from testbed_grafana.promql import API_TARGET, equals, label, legend, like, rate, select

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import timeseries

    from testbed_grafana.assembly import Panels


def quality_panels() -> Panels:
    """How well the model does, what is known of it, and what is wrong with its data."""
    return (*_performance(), *_labels(), *_concept(), *_relations(), *_data())


def estimated_and_realised(score: str, title: str, description: str, unit: str) -> timeseries.Panel:
    """A score of the last window by its labels, and by its estimate with twice its error around."""
    metric = names.PERFORMANCE_SCORE
    this = equals(metric, names.SCORE, score)
    estimated = select(metric.prometheus, this, equals(metric, names.BASIS, "estimated"))
    ignoring = f"ignoring ({label(metric, names.SCORE)}, {label(metric, names.BASIS)})"
    error = f"{ignoring} 2 * {names.PERFORMANCE_ESTIMATE_ERROR.prometheus}"
    return graph(
        title,
        description,
        newest(metric, names.BASIS, names.MODEL_VERSION, where=(this,)),
        Query(f"{estimated} - {error}", "estimated, low"),
        Query(f"{estimated} + {error}", "estimated, high"),
        unit=unit,
        dashed="^estimated, ",
    )


def _performance() -> Panels:
    score = names.PERFORMANCE_SCORE
    return (
        estimated_and_realised(
            "accuracy",
            "Accuracy: Estimated and Realised",
            "Accuracy of the last window: realised by its labels, estimated without them (twice "
            "its standard error below and above), and in the reference. Classifiers only.",
            units.PercentUnit,
        ),
        graph(
            "Scores Realised by Labels",
            "All scores of the last window's labelled rows; log loss, Brier score and calibration "
            "error (ece) are better when low.",
            newest(
                score,
                names.SCORE,
                names.MODEL_VERSION,
                where=(equals(score, names.BASIS, "realised"),),
            ),
            unit=units.Short,
        ),
        graph(
            "Confusion Matrix",
            "Labelled rows of the last window by true and predicted class. Classifiers only.",
            Query(
                names.PERFORMANCE_CONFUSION.prometheus,
                f"is {legend(names.PERFORMANCE_CONFUSION, names.TRUE_CLASS)}, "
                f"predicted {legend(names.PERFORMANCE_CONFUSION, names.PREDICTION_CLASS)}",
            ),
            unit=units.Short,
        ),
    )


def _labels() -> Panels:
    return (
        graph(
            "Label Coverage",
            "Share of the last window's rows whose label has come.",
            newest(names.LABEL_COVERAGE, names.MODEL_VERSION),
            unit=units.PercentUnit,
        ),
        graph(
            "Label Delay",
            "Time from prediction to label, of the labels that have come in the last window.",
            newest(names.LABEL_DELAY, names.QUANTILE),
            unit=units.Seconds,
        ),
    )


def _concept() -> Panels:
    rise = like(names.CONCEPT_SCORE, names.METHOD, ".*_rise")
    return (
        graph(
            "Concept Drift",
            "1 where labels of the last window show more errors than the inputs explain.",
            newest(names.CONCEPT_DETECTED, names.MODEL_VERSION),
            unit=units.Short,
        ),
        graph(
            "Rise of the Error",
            "Error among labelled rows above the reference's, and above what the inputs explain; "
            "of numbers the mean absolute error, as a share of the reference's.",
            newest(names.CONCEPT_SCORE, names.METHOD, where=(rise,)),
            Query(f"max({select(names.CONCEPT_THRESHOLD.prometheus, rise)})", "threshold"),
            unit=units.PercentUnit,
            dashed="^threshold",
        ),
    )


def _relations() -> Panels:
    effects = like(
        names.RELATIONS_SCORE,
        names.METHOD,
        "correlation_change|domain_auc|label_relation_change",
    )
    return (
        graph(
            "Drift That No Single Column Shows",
            "1 where the last study found that pairs of columns changed (correlation), that a "
            "classifier distinguishes the windows by columns that did not drift alone (domain), or "
            "that the same inputs come with other labels (label, of classifiers only).",
            newest(names.RELATIONS_DETECTED, names.CHECK, names.MODEL_VERSION),
            unit=units.Short,
        ),
        graph(
            "Size of Changed Relations",
            "Change of the correlation that stands out most, area under the classifier's ROC "
            "curve, change of a label's chance at the same inputs; dashed: their least effects.",
            newest(names.RELATIONS_SCORE, names.METHOD, where=(effects,)),
            newest(names.RELATIONS_THRESHOLD, names.METHOD, where=(effects,), word="threshold,"),
            unit=units.Short,
            dashed="^threshold",
        ),
        graph(
            "Contribution of Features",
            "How much the model's answers change when a column of a window is shuffled.",
            newest(names.FEATURE_CONTRIBUTION, names.COLUMN, names.WINDOW),
            unit=units.PercentUnit,
        ),
        graph(
            "Drift by Its Effect on the Model",
            "Contribution of a column times its drift, in least effects of the drift rule: what "
            "moves and what the model uses.",
            newest(names.FEATURE_DRIFT_EFFECT, names.COLUMN, names.MODEL_VERSION),
            unit=units.Short,
        ),
    )


def _data() -> Panels:
    refused = equals(names.PREDICTION_ERRORS, names.ERROR_TYPE, "validation")
    return (
        graph(
            "Data Quality per Column",
            "Share of the last window's rows in which a column fails a check; faults only.",
            Query(
                f"{names.QUALITY_COLUMN.prometheus} > 0",
                legend(names.QUALITY_COLUMN, names.COLUMN, names.CHECK),
            ),
            unit=units.PercentUnit,
        ),
        graph(
            "Repeated Rows",
            "Share of rows that repeat an earlier one of their window.",
            newest(names.QUALITY_DUPLICATED, names.WINDOW),
            unit=units.PercentUnit,
        ),
        graph(
            "Refused Requests",
            "Requests per second that the API refused because of their data.",
            Query(
                f"sum({rate(select(names.PREDICTION_ERRORS.prometheus, *API_TARGET, refused))})",
                "refused",
            ),
            unit=units.CountsPerSecond,
        ),
    )
