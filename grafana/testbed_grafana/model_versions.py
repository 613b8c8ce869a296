"""The dashboard “Model Versions”: drift and quality per version and segment, and retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.models import units
from testbed_otel import names

from testbed_grafana.assembly import assemble, segments, versions
from testbed_grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    Query,
    State,
    graph,
    named,
    newest,
    number,
    status,
)
from testbed_grafana.promql import API_JOB, chosen, equals, label, legend, rate, select, sum_by

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard
    from testbed_otel.names import Metric

    from testbed_grafana.assembly import Panels

TITLE: Final = "Model Versions"
UID: Final = "model-versions"


def of_versions(
    metric: Metric, *attributes: str, where: tuple[str, ...] = (), word: str = ""
) -> Query:
    """The newest values of the chosen versions, distinguished by version and further attributes."""
    mine = chosen(metric, names.MODEL_VERSION)
    return newest(metric, names.MODEL_VERSION, *attributes, where=(mine, *where), word=word)


def of_segments(
    metric: Metric, *attributes: str, where: tuple[str, ...] = (), word: str = ""
) -> Query:
    """The newest values of the chosen segments of the chosen versions."""
    mine = chosen(metric, names.SEGMENT)
    return of_versions(metric, names.SEGMENT, *attributes, where=(mine, *where), word=word)


def _ranked(metric: Metric, attribute: str, *values: str) -> Query:
    """Per chosen version, which of an attribute's values is 1: its place in ``values`` from 1 on.

    0 is any value that isn't among them.
    """
    by = (names.MODEL_VERSION,)
    mine = chosen(metric, names.MODEL_VERSION)
    parts = (
        f"{place} * max by ({label(metric, *by)}) "
        f"({select(metric.prometheus, mine, equals(metric, attribute, value))})"
        for place, value in enumerate(values, start=1)
    )
    return Query(" + ".join(parts), legend(metric, *by))


def _decision_panels() -> Panels:
    return (
        status(
            "Decision per Version",
            "What the drift job decided of each version in its last run.",
            _ranked(names.DRIFT_DECISION, names.DECISION, "ALERT", "RETRAIN"),
            states={
                "0": State("NO ACTION", GREEN),
                "1": State("ALERT", ORANGE),
                "2": State("RETRAIN", RED),
            },
        ),
        status(
            "Evaluating of Other Versions",
            "Whether the last run could evaluate the versions beside its own, where "
            "TESTBED_DRIFT_VERSIONS asks for some.",
            _ranked(names.DRIFT_VERSION_STATE, names.OUTCOME, "insufficient_data", "error"),
            states={
                "0": State("EVALUATED", GREEN),
                "1": State("TOO FEW ROWS", ORANGE),
                "2": State("FAILED", RED),
            },
        ),
        graph(
            "Share of Drifted Columns per Version",
            "Share of the input columns that drifted; dashed: the share that an alert starts from.",
            of_versions(names.DRIFT_RATIO),
            of_versions(names.DRIFT_RATIO_THRESHOLD, word="threshold"),
            unit=units.PercentUnit,
            dashed="^threshold",
        ),
        graph(
            "What Decisions Stand on",
            "Causes of the last ALERT or RETRAIN of each version.",
            _standing(of_versions(names.DRIFT_CAUSE, names.CAUSE)),
            unit=units.Short,
        ),
        graph(
            "Prediction Drift per Version",
            "Scores of the predictions in the last window.",
            of_versions(names.PREDICTION_DRIFT, names.METHOD),
            unit=units.Short,
        ),
    )


def _standing(shown: Query) -> Query:
    """Those series of a query that hold now."""
    return Query(f"{shown.expr} == 1", shown.legend)


def _version_panels() -> Panels:
    score = names.PERFORMANCE_SCORE
    realised = equals(score, names.BASIS, "realised")
    reference = equals(score, names.BASIS, "reference")
    accuracy = equals(score, names.SCORE, "accuracy")
    predictions = select(
        names.PREDICTIONS.prometheus, API_JOB, chosen(names.PREDICTIONS, names.MODEL_VERSION)
    )
    by_version = (names.MODEL_VERSION,)
    return (
        graph(
            "Accuracy per Version",
            "Accuracy realised by the labels of the last window; dashed: that of the version's "
            "reference. Classifiers only.",
            of_versions(score, where=(accuracy, realised)),
            of_versions(score, where=(accuracy, reference), word="reference"),
            unit=units.PercentUnit,
            dashed="^reference",
        ),
        graph(
            "Log Loss per Version",
            "Log loss realised by the labels of the last window: the lower, the better the "
            "probabilities. Classifiers only.",
            of_versions(score, where=(equals(score, names.SCORE, "log_loss"), realised)),
            unit=units.Short,
        ),
        graph(
            "Rows of the Window per Version",
            "Rows that the last run compared; dashed: how many it needs to evaluate a version.",
            of_versions(
                names.DRIFT_WINDOW_ROWS,
                where=(equals(names.DRIFT_WINDOW_ROWS, names.WINDOW, "current"),),
            ),
            of_versions(names.DRIFT_ROWS_NEEDED, word="needed"),
            unit=units.Short,
            dashed="^needed",
        ),
        graph(
            "Predictions per Version",
            "Predictions per second that each version answers, over all replicas.",
            Query(
                sum_by(names.PREDICTIONS, by_version, rate(predictions)),
                legend(names.PREDICTIONS, *by_version),
            ),
            unit=units.CountsPerSecond,
        ),
    )


def _segment_panels() -> Panels:
    score, estimate = names.PERFORMANCE_SEGMENT_SCORE, names.PERFORMANCE_SEGMENT_ESTIMATE
    ratio = names.DRIFT_SEGMENT_RATIO
    return (
        graph(
            "Share of Drifted Columns per Segment",
            "Share of the input columns that drifted, where TESTBED_DRIFT_SEGMENT names a column; "
            "dashed: the share from which SegmentDrift fires.",
            of_segments(ratio),
            of_versions(names.DRIFT_RATIO_THRESHOLD, word="threshold"),
            unit=units.PercentUnit,
            dashed="^threshold",
        ),
        graph(
            "Drift Score per Segment and Column",
            "Score of each column within each segment: choose segments above.",
            of_segments(names.DRIFT_SEGMENT_SCORE, names.COLUMN, names.METHOD),
            unit=units.Short,
        ),
        graph(
            "Accuracy per Segment",
            "Accuracy realised by the labels of the last window; dashed: estimated without them. "
            "Classifiers only.",
            of_segments(score, where=(equals(score, names.SCORE, "accuracy"),)),
            of_segments(
                estimate, where=(equals(estimate, names.SCORE, "accuracy"),), word="estimated"
            ),
            unit=units.PercentUnit,
            dashed="^estimated",
        ),
        graph(
            "Standard Error of Estimates",
            "Of the accuracy that labels of so few rows will show beside the estimate: twice as "
            "far off is no surprise. Classifiers only.",
            of_segments(names.PERFORMANCE_SEGMENT_ESTIMATE_ERROR),
            unit=units.PercentUnit,
        ),
        graph(
            "F1 per Segment",
            "F1 score realised by the labels of the last window, which sees what accuracy hides "
            "where one class is rare. Classifiers only.",
            of_segments(score, where=(equals(score, names.SCORE, "f1"),)),
            unit=units.PercentUnit,
        ),
        graph(
            "Decisions on Segments of Tables",
            "What a run on tables decided of each group of its --segment column.",
            _standing(of_segments(names.DRIFT_SEGMENT_DECISION, names.DECISION)),
            unit=units.Short,
        ),
        graph(
            "Rows per Segment",
            "Rows of each segment in the last window.",
            of_segments(
                names.DRIFT_SEGMENT_ROWS,
                where=(equals(names.DRIFT_SEGMENT_ROWS, names.WINDOW, "current"),),
            ),
            unit=units.Short,
        ),
        graph(
            "Segments by State",
            "How many segments were scored, had too few rows, or failed.",
            of_versions(names.DRIFT_SEGMENTS, names.STATE),
            unit=units.Short,
        ),
    )


def _retraining_panels() -> Panels:
    outcome = legend(names.RETRAINING_STATE, names.OUTCOME)
    return (
        named(
            "Last Training",
            "What came of the last training that RETRAIN started: another champion, the old one, "
            "too few labelled rows, a command that ended well, a failure.",
            Query(
                f"max by ({label(names.RETRAINING_STATE, names.OUTCOME)}) "
                f"({names.RETRAINING_STATE.prometheus}) == 1",
                outcome,
            ),
            colors={
                "promoted": GREEN,
                "called": GREEN,
                "kept": ORANGE,
                "too_few_rows": ORANGE,
                "failed": RED,
            },
        ),
        number(
            "Time since the Last Training",
            "Since the last training ended, however it ended.",
            Query(f"time() - max({names.RETRAINING_TIME.prometheus})", "age"),
            unit=units.Seconds,
        ),
        graph(
            "Trainings by Outcome",
            "Trainings since the drift job started; promoted ones gave the API another champion.",
            Query(
                sum_by(names.RETRAINING_RUNS, (names.OUTCOME,), names.RETRAINING_RUNS.prometheus),
                legend(names.RETRAINING_RUNS, names.OUTCOME),
            ),
            unit=units.Short,
        ),
        graph(
            "Champion and Challenger",
            "Scores of both on the rows held out of the last training; errors and log loss are "
            "better when low.",
            newest(names.RETRAINING_SCORE, names.ROLE, names.SCORE),
            unit=units.Short,
        ),
        graph(
            "Chance that the Challenger is no Better",
            "P-value of the last comparison: a challenger is promoted at 0.01 or less, where it "
            "also gains a point of accuracy (of numbers: 5 % of the mean absolute error) and loses "
            "no log loss (no root mean square error).",
            Query(names.RETRAINING_P_VALUE.prometheus, "p-value"),
            unit=units.Short,
        ),
        graph(
            "Rows Held Out",
            "Labelled rows that evaluated champion and challenger of the last training.",
            Query(names.RETRAINING_ROWS.prometheus, "rows"),
            unit=units.Short,
        ),
        graph(
            "Duration of the Last Training",
            "From its start to its end, comparison included.",
            Query(names.RETRAINING_DURATION.prometheus, "duration"),
            unit=units.Seconds,
        ),
    )


def build() -> Dashboard:
    """The dashboard, ready to be encoded."""
    return assemble(
        UID,
        TITLE,
        "Which model version drifts, in which segments, how well each does, and what retraining "
        "came to.",
        (versions(), segments()),
        (
            ("Versions", (*_decision_panels(), *_version_panels())),
            ("Segments", _segment_panels()),
            ("Retraining", _retraining_panels()),
        ),
    )
