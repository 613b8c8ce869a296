"""Streams of labels with a known accuracy, watched as the drift job watches them."""

from __future__ import annotations

from typing import Final

import numpy as np
from testbed_drift.quality.concept import MIN_LABELS, evaluate
from testbed_drift.quality.estimation import Estimator
from testbed_drift.quality.outcomes import Outcomes

REFERENCE: Final = 5_000
WINDOW: Final = 5_000  # the most rows that the drift job evaluates unless configured otherwise
STEP: Final = 25  # labels from one run to the next
GOOD: Final = 0.95
POOR: Final = 0.90
STEADY: Final = 10_000
CHANGE: Final = 2_000  # labels before the accuracy falls


def draw(rng: np.random.Generator, rows: int, worse_from: int | None = None) -> Outcomes:
    """Rows of a calibrated model that is right in 95 %, and in 90 % after ``worse_from`` rows."""
    sure = rng.uniform(2 * GOOD - 1, 1, rows)
    predicted = rng.integers(0, 2, rows)
    worse = np.arange(rows) >= (rows if worse_from is None else worse_from)
    right = rng.random(rows) < sure - (GOOD - POOR) * worse
    said = predicted[:, None] == np.arange(2)
    chances = np.where(said, sure[:, None], 1 - sure[:, None])
    label, unknown = np.where(right, predicted, 1 - predicted), np.full(rows, np.nan)
    return Outcomes(("0", "1"), 1, predicted, label, chances, unknown)


def first_alarm(seed: int, rows: int, worse_from: int | None, start: int) -> int | None:
    """Labels after which a run first finds concept drift in a stream; None where none does.

    Args:
        seed: of the stream and of its reference.
        rows: labels of the stream.
        worse_from: see :func:`draw`.
        start: labels before the first run.
    """
    rng = np.random.default_rng([9, seed])
    reference = draw(rng, REFERENCE)
    estimator, stream = Estimator.learn(reference), draw(rng, rows, worse_from)
    place = np.arange(rows)
    for end in range(max(start, MIN_LABELS), rows + 1, STEP):
        window = stream.where((place >= end - WINDOW) & (place < end))
        if evaluate(reference, window, estimator).drifted:
            return end
    return None


def falls(seed: int) -> int | None:
    """Labels from the fall of the accuracy until it is found; None where it is not in 3,000.

    A run before the fall that speaks for drift would make this negative.
    """
    found = first_alarm(seed, CHANGE + 3_000, CHANGE, MIN_LABELS)
    return None if found is None else found - CHANGE


def steady(seed: int) -> bool:
    """Whether a stream without change raises any alarm."""
    return first_alarm(1_000 + seed, STEADY, None, MIN_LABELS) is not None
