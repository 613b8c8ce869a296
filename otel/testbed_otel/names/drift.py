"""Metrics of the drift job: drift, its decision, and the job's own health."""

from __future__ import annotations

from typing import Final

from testbed_otel.names.attributes import (
    CAUSE,
    COLUMN,
    DECISION,
    METHOD,
    MODEL_VERSION,
    OUTCOME,
    SEGMENT,
    STATE,
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
DRIFT_RATIO: Final = Metric(
    "ml.data_drift.ratio",
    "gauge",
    "{ratio}",
    "Ratio of drifted columns in the last window, 0 to 1.",
    (MODEL_VERSION,),
)
DRIFT_RATIO_THRESHOLD: Final = Metric(
    "ml.data_drift.ratio_threshold",
    "gauge",
    "{ratio}",
    "Ratio of drifted columns from which the decision is no longer NO_ACTION.",
    (MODEL_VERSION,),
)
DRIFT_SEGMENT_RATIO: Final = Metric(
    "ml.data_drift.segment.ratio",
    "gauge",
    "{ratio}",
    "Ratio of drifted columns in one segment of the last window, 0 to 1.",
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
    "1 for the decision on a segment that is evaluated by itself, 0 for the others.",
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
    "Drift score of the predicted class or number.",
    (MODEL_VERSION, METHOD),
)
PREDICTION_DRIFT_THRESHOLD: Final = Metric(
    "ml.prediction_drift.threshold",
    "gauge",
    "{score}",
    "Threshold that the score of the predicted class or number is compared with.",
    (MODEL_VERSION, METHOD),
)
PREDICTION_DRIFT_DETECTED: Final = Metric(
    "ml.prediction_drift.detected",
    "gauge",
    "{window}",
    "1 where the predicted class or number of the last window drifted, else 0.",
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
DRIFT_CAUSE: Final = Metric(
    "ml.drift.decision.cause",
    "gauge",
    "{cause}",
    "1 for what the last ALERT or RETRAIN stands on, 0 for the rest.",
    (MODEL_VERSION, CAUSE),
    values=((CAUSE, ("columns", "prediction", "target", "concept", "relations", "data")),),
)
DRIFT_ROWS_NEEDED: Final = Metric(
    "ml.drift.window.rows_needed",
    "gauge",
    "{row}",
    "Rows that a window must have to be evaluated: the setting's, or those of a calibration.",
    (MODEL_VERSION,),
)
CALIBRATION_TIME: Final = Metric(
    "ml.drift.calibration.timestamp",
    "gauge",
    "s",
    "Unix time of the calibration that the drift job obeys; its age is the time since.",
    (MODEL_VERSION,),
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
