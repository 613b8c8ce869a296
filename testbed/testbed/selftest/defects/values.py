"""What the service counts and times wrongly."""

from __future__ import annotations

from typing import Final

from testbed.checks.stages import Stage
from testbed.selftest.defects.patched import patched

_make = patched("api", "metrics", "quick", Stage.INSTRUMENT)

VALUES: Final = (
    _make("predictions_twice", "Every prediction is counted twice."),
    _make("one_in_a_hundred_uncounted", "One prediction in a hundred is not counted."),
    _make("wrong_version", "Predictions are counted under another model version."),
    _make("classes_swapped", "Predictions of one class are counted as the other."),
    _make("confidence_inverted", "The histogram of probabilities gets 1 - p."),
    _make("confidence_rounded", "The histogram of probabilities gets rounded values."),
    _make("correct_is_wrong", "Right decisions are counted as wrong, and the reverse."),
    _make("latency_constant", "Every request takes 4 ms in the metrics."),
    _make("latency_too_small", "Durations of requests are recorded 30 % too small."),
    _make("latency_doubled", "Durations of requests are recorded twice as long."),
    _make("inference_in_milliseconds", "Inference is recorded in milliseconds as seconds."),
    _make("log_writes_in_milliseconds", "Commits of the log are timed in milliseconds as seconds."),
    _make("log_state_stuck", "Every state of the prediction log holds at once."),
    _make("batches_eightfold", "Batches are recorded as eight times as large."),
    _make("buckets_coarse", "The histogram of durations has half of its buckets."),
    _make("labels_twice", "Every stored label is counted twice."),
    _make("errors_as_successes", "Answers with 500 are counted as 200.", scenario="quick-errors"),
    _make("unavailable_as_error", "Answers with 503 are counted as 500.", scenario="model-lost"),
    _make(
        "error_kind_wrong", "Injected errors are counted as the model's.", scenario="quick-errors"
    ),
    _make("active_twice", "Every request in flight is counted twice.", scenario="latency-margin"),
)
