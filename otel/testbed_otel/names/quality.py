"""Metrics of the drift job beside drift: performance, labels, data, relations, retraining."""

from __future__ import annotations

from typing import Final

from testbed_otel.names.attributes import (
    BASIS,
    CHECK,
    COLUMN,
    CONCEPT_METHODS,
    ESTIMATED_SCORES,
    METHOD,
    MODEL_VERSION,
    OUTCOME,
    PERFORMANCE_SCORES,
    PREDICTION_CLASS,
    QUALITY_CHECKS,
    QUANTILE,
    RELATION_METHODS,
    ROLE,
    SCORE,
    SEGMENT,
    STATE,
    TRIAL_CLASS_SCORES,
    TRIAL_NUMBER_SCORES,
    TRUE_CLASS,
    WINDOW,
)
from testbed_otel.names.metric import Metric

PERFORMANCE_SCORE: Final = Metric(
    "ml.performance.score",
    "gauge",
    "{score}",
    "Score of the model: in the reference, realised by the labels of the last window, or estimated "
    "for it without labels.",
    (MODEL_VERSION, BASIS, SCORE),
    values=((BASIS, ("reference", "realised", "estimated")), (SCORE, PERFORMANCE_SCORES)),
)
PERFORMANCE_ESTIMATE_ERROR: Final = Metric(
    "ml.performance.estimate.error",
    "gauge",
    "{score}",
    "Standard error of the accuracy, of a regression of the mean absolute error, that labels of "
    "the last window will show beside the estimate.",
    (MODEL_VERSION,),
)
PERFORMANCE_SEGMENT_SCORE: Final = Metric(
    "ml.performance.segment.score",
    "gauge",
    "{score}",
    "Score realised by the labels of the last window, by segment of its rows.",
    (MODEL_VERSION, SEGMENT, SCORE),
    values=((SCORE, PERFORMANCE_SCORES),),
)
PERFORMANCE_SEGMENT_ESTIMATE: Final = Metric(
    "ml.performance.segment.estimate",
    "gauge",
    "{score}",
    "Score estimated without labels for the last window, by segment of its rows.",
    (MODEL_VERSION, SEGMENT, SCORE),
    values=((SCORE, ESTIMATED_SCORES),),
)
PERFORMANCE_SEGMENT_ESTIMATE_ERROR: Final = Metric(
    "ml.performance.segment.estimate.error",
    "gauge",
    "{score}",
    "Standard error of the accuracy, or mean absolute error, that labels of the segment will show "
    "beside its estimate.",
    (MODEL_VERSION, SEGMENT),
)
PERFORMANCE_CONFUSION: Final = Metric(
    "ml.performance.confusion",
    "gauge",
    "{row}",
    "Labelled rows of the last window by true and by predicted class.",
    (MODEL_VERSION, TRUE_CLASS, PREDICTION_CLASS),
)
PERFORMANCE_STATE: Final = Metric(
    "ml.performance.state",
    "gauge",
    "{state}",
    "1 for what the labels of the last window allow to say, 0 for the others.",
    (MODEL_VERSION, STATE),
    values=((STATE, ("measured", "one_class", "no_labels", "empty")),),
)
LABEL_COVERAGE: Final = Metric(
    "ml.labels.coverage",
    "gauge",
    "{ratio}",
    "Ratio of the last window's rows whose label has come, 0 to 1.",
    (MODEL_VERSION,),
)
LABEL_DELAY: Final = Metric(
    "ml.labels.delay",
    "gauge",
    "s",
    "Time from prediction to label in the last window, over the labels that have come.",
    (MODEL_VERSION, QUANTILE),
    values=((QUANTILE, ("0.5", "0.95")),),
)
CONCEPT_SCORE: Final = Metric(
    "ml.concept_drift.score",
    "gauge",
    "{score}",
    "Rise of the model's error among labelled rows, or its p-value, by method.",
    (MODEL_VERSION, METHOD),
    values=((METHOD, CONCEPT_METHODS),),
)
CONCEPT_THRESHOLD: Final = Metric(
    "ml.concept_drift.threshold",
    "gauge",
    "{score}",
    "Threshold that the method's score is compared with.",
    (MODEL_VERSION, METHOD),
    values=((METHOD, CONCEPT_METHODS),),
)
CONCEPT_DETECTED: Final = Metric(
    "ml.concept_drift.detected",
    "gauge",
    "{window}",
    "1 where labels of the last window show more errors than the inputs explain, else 0.",
    (MODEL_VERSION,),
)
QUALITY_COLUMN: Final = Metric(
    "ml.data_quality.column",
    "gauge",
    "{ratio}",
    "Ratio of the last window's rows in which this column fails a check; constant: 1 or 0.",
    (MODEL_VERSION, COLUMN, CHECK),
    values=((CHECK, QUALITY_CHECKS),),
)
QUALITY_DUPLICATED: Final = Metric(
    "ml.data_quality.duplicated",
    "gauge",
    "{ratio}",
    "Ratio of rows that repeat an earlier one of the same window in every column, 0 to 1.",
    (MODEL_VERSION, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)
RETRAINING_RUNS: Final = Metric(
    "ml.retraining.runs",
    "counter",
    "{run}",
    "What RETRAIN started, by outcome: another champion, the old one, too few labelled rows, a "
    "command that ended well, a failure.",
    (OUTCOME,),
    values=((OUTCOME, ("promoted", "kept", "too_few_rows", "called", "failed")),),
)
RETRAINING_STATE: Final = Metric(
    "ml.retraining.state",
    "gauge",
    "{state}",
    "1 for the outcome of the last training that RETRAIN started for this champion, else 0.",
    (MODEL_VERSION, OUTCOME),
    values=((OUTCOME, ("promoted", "kept", "too_few_rows", "called", "failed")),),
)
RETRAINING_SCORE: Final = Metric(
    "ml.retraining.score",
    "gauge",
    "{score}",
    "Score of champion and challenger on the rows held out of the last training.",
    (ROLE, SCORE),
    values=(
        (ROLE, ("champion", "challenger")),
        (SCORE, (*TRIAL_CLASS_SCORES, *TRIAL_NUMBER_SCORES)),
    ),
)
RETRAINING_P_VALUE: Final = Metric(
    "ml.retraining.p_value",
    "gauge",
    "{score}",
    "Chance of so clear a win of the last challenger, were both models equally good.",
)
RETRAINING_ROWS: Final = Metric(
    "ml.retraining.holdout.rows",
    "gauge",
    "{row}",
    "Rows held out of the last training.",
)
RETRAINING_DURATION: Final = Metric(
    "ml.retraining.duration",
    "gauge",
    "s",
    "Duration of the last training, comparison included.",
)
RETRAINING_TIME: Final = Metric(
    "ml.retraining.timestamp",
    "gauge",
    "s",
    "Unix time at which the last training ended.",
)
RELATIONS_SCORE: Final = Metric(
    "ml.relations.score",
    "gauge",
    "{score}",
    "Score of a test that looks at several columns at once, by method.",
    (MODEL_VERSION, METHOD),
    values=((METHOD, RELATION_METHODS),),
)
RELATIONS_THRESHOLD: Final = Metric(
    "ml.relations.threshold",
    "gauge",
    "{score}",
    "Threshold that the method's score is compared with.",
    (MODEL_VERSION, METHOD),
    values=((METHOD, RELATION_METHODS),),
)
RELATIONS_DETECTED: Final = Metric(
    "ml.relations.detected",
    "gauge",
    "{window}",
    "1 where pairs of columns, all columns together (domain), or the labels at the same inputs "
    "(label) drifted, else 0.",
    (MODEL_VERSION, CHECK),
    values=((CHECK, ("correlation", "domain", "label")),),
)
FEATURE_CONTRIBUTION: Final = Metric(
    "ml.feature.contribution",
    "gauge",
    "{ratio}",
    "How much the model's answers change when the column is shuffled within a window, 0 to 1; of "
    "numbers beside what shuffling all would change.",
    (MODEL_VERSION, COLUMN, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)
FEATURE_DRIFT_EFFECT: Final = Metric(
    "ml.feature.drift_effect",
    "gauge",
    "{score}",
    "Contribution of the column times its drift, in least effects of the drift rule.",
    (MODEL_VERSION, COLUMN),
)
