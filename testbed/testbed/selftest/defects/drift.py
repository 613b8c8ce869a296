"""What the drift job evaluates and publishes wrongly."""

from __future__ import annotations

from typing import Final

from testbed.checks.stages import Stage
from testbed.selftest.defects.patched import patched

_make = patched("drift", "drift", "quick-drift", Stage.PUBLISHED)

DRIFT: Final = (
    _make("ratio_constant", "The published ratio of drifted columns is always 0."),
    _make("scores_unpublished", "Scores of columns are never published."),
    _make("columns_renamed", "Published columns bear other names."),
    _make("scores_halved", "Published scores are half of what was found."),
    _make("decision_mild", "The published decision is always NO_ACTION."),
    _make(
        "effects_twice",
        "A column needs twice the effect.",
        Stage.DRIFT_JOB,
        scenario="drift-margin",
    ),
    _make("effects_five_times", "A column needs five times the effect.", Stage.DRIFT_JOB),
    _make("half_the_rows", "Only half of each window is evaluated.", Stage.DRIFT_JOB),
    _make("column_left_out", "One column of the model is not evaluated.", Stage.DRIFT_JOB),
    _make("accuracy_squared", "The accuracy is not that of the labels.", Stage.DRIFT_JOB),
    _make(
        "errors_swapped",
        "The mean absolute error is published as the root mean square error, and the reverse.",
        scenario="quick-numbers",
    ),
    _make(
        "mae_is_rmse",
        "The mean absolute error is the root mean square error.",
        Stage.DRIFT_JOB,
        scenario="quick-numbers",
    ),
    _make(
        "residuals_ignored",
        "Residuals never drift, whatever they are.",
        Stage.DRIFT_JOB,
        scenario="quick-numbers",
    ),
    _make("delays_in_milliseconds", "Delays of labels are in milliseconds.", Stage.DRIFT_JOB),
    _make("never_decides", "Every decision is NO_ACTION.", Stage.DRIFT_JOB),
)
