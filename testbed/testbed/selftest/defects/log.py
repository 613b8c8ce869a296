"""What is wrong in the prediction log, and in the answers themselves."""

from __future__ import annotations

from typing import Final

from testbed.checks.stages import Stage
from testbed.selftest.defects.patched import patched

_make = patched("api", "log", "quick", Stage.LOG)

LOG: Final = (
    _make("feature_scaled", "In one row of ten a feature is 1.5 times what was sent."),
    _make("feature_lost", "In one row of ten a feature is missing."),
    _make("features_of_the_neighbour", "One row in twenty bears the features of the one before."),
    _make("class_differs", "In one row of fifty the class is another than was answered."),
    _make(
        "number_scaled",
        "In one row of fifty the number is 5 % larger than was answered.",
        scenario="quick-numbers",
    ),
    _make("probability_inverted", "The log holds 1 - p."),
    _make("version_wrong", "Every second row names another model version."),
    _make("clock_ahead", "The clock of the log is a minute ahead."),
    _make("rows_lost", "One row in a hundred is dropped, though it counts as written."),
    _make("rows_twice", "One row in a hundred is written twice."),
    _make("labels_flipped", "One label in twenty is stored as the other class."),
    _make("answers_differ", "One answer in fifty names another class.", Stage.SERVICE),
    _make("model_inverted", "Answer, log and metrics all say 1 - p.", Stage.SERVICE),
    _make("model_biased", "Every answer is the first class.", Stage.SERVICE),
)
