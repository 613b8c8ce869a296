"""Metrics of the drift job: drift, performance, data quality, and its own health."""

from __future__ import annotations

from typing import Final

from testbed_otel.names.attributes import (
    BASIS,
    CAUSE,
    CHECK,
    COLUMN,
    DECISION,
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
    TRUE_CLASS,
    WINDOW,
)
from testbed_otel.names.metric import Metric

DRIFT_COLUMN_SCORE: Final = Metric(
    "ml.data_drift.column_score",
    "gauge",
    "{score}",
    "Drift score of one column; its direction depends on the method.",
    (MODEL_VERSION, COLUMN, METHOD),
)
DRIFT_COLUMN_THRESHOLD: Final = Metric(
    "ml.data_drift.column_threshold",
    "gauge",
    "{score}",
    "Threshold that the column's score is compared with.",
    (MODEL_VERSION, COLUMN, METHOD),
)
DRIFT_COLUMN_DETECTED: Final = Metric(
    "ml.data_drift.column_detected",
    "gauge",
    "{column}",
    "1 where the last window of this column drifted, else 0.",
    (MODEL_VERSION, COLUMN),
)
DRIFT_DETECTIONS: Final = Metric(
    "ml.data_drift.detections",
    "counter",
    "{window}",
    "Windows in which this column drifted.",
    (MODEL_VERSION, COLUMN),
)
DRIFT_SHARE: Final = Metric(
    "ml.data_drift.share",
    "gauge",
    "{share}",
    "Share of drifted columns in the last window, 0 to 1.",
    (MODEL_VERSION,),
)
DRIFT_SHARE_THRESHOLD: Final = Metric(
    "ml.data_drift.share_threshold",
    "gauge",
    "{share}",
    "Share of drifted columns from which the decision is no longer NO_ACTION.",
    (MODEL_VERSION,),
)
DRIFT_SEGMENT_SHARE: Final = Metric(
    "ml.data_drift.segment.share",
    "gauge",
    "{share}",
    "Share of drifted columns in one segment of the last window, 0 to 1.",
    (MODEL_VERSION, SEGMENT),
)
DRIFT_SEGMENT_SCORE: Final = Metric(
    "ml.data_drift.segment.column_score",
    "gauge",
    "{score}",
    "Drift score of one column in one segment; its direction depends on the method.",
    (MODEL_VERSION, SEGMENT, COLUMN, METHOD),
)
DRIFT_SEGMENT_ROWS: Final = Metric(
    "ml.drift.segment.rows",
    "gauge",
    "{row}",
    "Rows of one segment in the windows that the last run compared.",
    (MODEL_VERSION, SEGMENT, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)
DRIFT_SEGMENTS: Final = Metric(
    "ml.drift.segments",
    "gauge",
    "{segment}",
    "Segments of the last window by what became of them.",
    (MODEL_VERSION, STATE),
    values=((STATE, ("scored", "insufficient_data", "error")),),
)
DRIFT_SEGMENT_DECISION: Final = Metric(
    "ml.drift.segment.decision",
    "gauge",
    "{decision}",
    "1 for the decision on one segment of a table, 0 for the others.",
    (MODEL_VERSION, SEGMENT, DECISION),
    values=((DECISION, ("NO_ACTION", "ALERT", "RETRAIN")),),
)
TARGET_DRIFT: Final = Metric(
    "ml.target_drift.score",
    "gauge",
    "{score}",
    "Drift score of the target, where labels have come.",
    (MODEL_VERSION, METHOD),
)
TARGET_DRIFT_THRESHOLD: Final = Metric(
    "ml.target_drift.threshold",
    "gauge",
    "{score}",
    "Threshold that the target's score is compared with.",
    (MODEL_VERSION, METHOD),
)
TARGET_DRIFT_DETECTED: Final = Metric(
    "ml.target_drift.detected",
    "gauge",
    "{window}",
    "1 where the target of the last window drifted, else 0.",
    (MODEL_VERSION,),
)
PREDICTION_DRIFT: Final = Metric(
    "ml.prediction_drift.score",
    "gauge",
    "{score}",
    "Drift score of the predicted class.",
    (MODEL_VERSION, METHOD),
)
PREDICTION_DRIFT_THRESHOLD: Final = Metric(
    "ml.prediction_drift.threshold",
    "gauge",
    "{score}",
    "Threshold that the predicted class's score is compared with.",
    (MODEL_VERSION, METHOD),
)
PREDICTION_DRIFT_DETECTED: Final = Metric(
    "ml.prediction_drift.detected",
    "gauge",
    "{window}",
    "1 where the predicted class of the last window drifted, else 0.",
    (MODEL_VERSION,),
)
DRIFT_DECISION: Final = Metric(
    "ml.drift.decision",
    "gauge",
    "{decision}",
    "1 for the decision of the last run, 0 for the others.",
    (MODEL_VERSION, DECISION),
    values=((DECISION, ("NO_ACTION", "ALERT", "RETRAIN")),),
)
DRIFT_WINDOW_ROWS: Final = Metric(
    "ml.drift.window.rows",
    "gauge",
    "{row}",
    "Rows of the windows that the last run compared.",
    (MODEL_VERSION, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)
DRIFT_WINDOW_NEWEST: Final = Metric(
    "ml.drift.window.newest.timestamp",
    "gauge",
    "s",
    "Unix time of the newest row of each window that the last run compared, of a training's "
    "reference that of the training; its age is the time since.",
    (MODEL_VERSION, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)
DRIFT_VERSION_STATE: Final = Metric(
    "ml.drift.version.state",
    "gauge",
    "{state}",
    "1 for the outcome of the last run for a model version beside the job's own, else 0.",
    (MODEL_VERSION, OUTCOME),
    values=((OUTCOME, ("success", "insufficient_data", "error")),),
)
DRIFT_RUNS: Final = Metric(
    "ml.drift.job.runs",
    "counter",
    "{run}",
    "Runs of the drift job, by outcome.",
    (OUTCOME,),
    values=((OUTCOME, ("success", "insufficient_data", "error")),),
)
DRIFT_RUN_DURATION: Final = Metric(
    "ml.drift.job.run.duration",
    "gauge",
    "s",
    "Duration of the last run of the drift job.",
)
DRIFT_LAST_RUN: Final = Metric(
    "ml.drift.job.last_run.timestamp",
    "gauge",
    "s",
    "Unix time at which the last run of that outcome ended.",
    (OUTCOME,),
    values=((OUTCOME, ("success", "insufficient_data", "error")),),
)
DRIFT_LAST_COMPLETED: Final = Metric(
    "ml.drift.job.last_completed.timestamp",
    "gauge",
    "s",
    "Unix time at which the drift job last ended without an error.",
)
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
    "Standard error of the accuracy that labels of the last window will show beside the estimate.",
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
    "Standard error of the accuracy that labels of the segment will show beside its estimate.",
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
    "{share}",
    "Share of the last window's rows whose label has come, 0 to 1.",
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
)
CONCEPT_THRESHOLD: Final = Metric(
    "ml.concept_drift.threshold",
    "gauge",
    "{score}",
    "Threshold that the method's score is compared with.",
    (MODEL_VERSION, METHOD),
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
    "{share}",
    "Share of the last window's rows in which this column fails a check; constant: 1 or 0.",
    (MODEL_VERSION, COLUMN, CHECK),
    values=((CHECK, QUALITY_CHECKS),),
)
QUALITY_DUPLICATED: Final = Metric(
    "ml.data_quality.duplicated",
    "gauge",
    "{share}",
    "Share of rows that repeat an earlier one of the same window in every column, 0 to 1.",
    (MODEL_VERSION, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)
DRIFT_CAUSE: Final = Metric(
    "ml.drift.decision.cause",
    "gauge",
    "{cause}",
    "1 for what the last ALERT or RETRAIN stands on, 0 for the rest.",
    (MODEL_VERSION, CAUSE),
    values=((CAUSE, ("columns", "prediction", "target", "concept", "relations")),),
)
DRIFT_ROWS_NEEDED: Final = Metric(
    "ml.drift.window.rows_needed",
    "gauge",
    "{row}",
    "Rows that a window must have to be judged: the setting's, or more where a calibration asks.",
    (MODEL_VERSION,),
)
CALIBRATION_TIME: Final = Metric(
    "ml.drift.calibration.timestamp",
    "gauge",
    "s",
    "Unix time of the calibration that the drift job obeys; its age is the time since.",
    (MODEL_VERSION,),
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
    values=((ROLE, ("champion", "challenger")), (SCORE, ("accuracy", "log_loss"))),
)
RETRAINING_P_VALUE: Final = Metric(
    "ml.retraining.p_value",
    "gauge",
    "{score}",
    "Chance of the last challenger being alone right so often, were both models equally good.",
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
    "{share}",
    "How much the model's probabilities change when the column is shuffled within a window, 0 to "
    "1.",
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
TRACKING_RUNS: Final = Metric(
    "ml.tracking.runs",
    "counter",
    "{run}",
    "Runs of the drift job and challengers that a tracking server was to log: skipped while it is "
    "left alone after a failure.",
    (OUTCOME,),
    values=((OUTCOME, ("logged", "failed", "skipped")),),
)
