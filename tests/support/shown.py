"""Which metrics a demo leaves empty, and which tests fill them."""

from __future__ import annotations

import re

from testbed_otel import names

# What a setting turns on that a demo leaves off; test_drift_panels turns on what panels show.
BY_SETTING = (
    names.API_KEY_REQUESTS,
    names.BATCH_WAIT,
    names.CACHE_REQUESTS,
    names.CALIBRATION_TIME,
    *(names.DRIFT_SEGMENTS, names.DRIFT_SEGMENT_ROWS, names.DRIFT_SEGMENT_RATIO),
    names.DRIFT_SEGMENT_DECISION,
    *(names.DRIFT_SEGMENT_SCORE, names.DRIFT_VERSION_STATE),
    names.LOG_SPOOLED,
    *(names.PERFORMANCE_SEGMENT_ESTIMATE, names.PERFORMANCE_SEGMENT_ESTIMATE_ERROR),
    names.PERFORMANCE_SEGMENT_SCORE,
    *(names.RETRAINING_STATE, names.RETRAINING_SCORE, names.RETRAINING_P_VALUE),
    names.RETRAINING_ROWS,
    *(names.RETRAINING_DURATION, names.RETRAINING_TIME),
    names.SHADOW_PREDICTIONS,
)
# What only models that predict numbers have; test_regression looks at it.
OF_NUMBERS = (names.PREDICTION_VALUE, names.PREDICTION_ABSOLUTE_ERROR)
NUMBERS = re.compile(
    "|".join(metric.prometheus for metric in OF_NUMBERS)
    + '|score=~?"(mae|rmse)|residuals_wasserstein'
)
