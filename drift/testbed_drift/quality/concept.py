"""Concept drift: the same inputs come with other labels, so the model errs more. Pure.

Only labels show it. The error among the newest labelled rows, and among all of the window's, is
compared with the reference's: by Fisher's exact test of two shares (Fisher 1935; exact at any
number of errors, where the z-test is not), one-sided, at a level that a run a minute on
overlapping windows can afford, *and* a least rise. More errors alone are no concept drift: inputs
may have moved to where the model was always weak. So the error is also compared with the one that
:mod:`testbed_drift.quality.estimation` expects of these very rows; concept drift is what it can't
explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np
from scipy.stats import hypergeom, norm

from testbed_drift.scoring.levels import CONCEPT
from testbed_drift.scoring.scores import ColumnScore, Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_drift.quality.estimation import Estimator
    from testbed_drift.quality.numbers import NumberOutcomes
    from testbed_drift.quality.outcomes import Outcomes

LabelledRows = Literal["newest", "all"]
AnyOutcomes = TypeVar("AnyOutcomes", "Outcomes", "NumberOutcomes")
ConceptState = Literal["tested", "few_labels", "no_reference"]
# Least rise of the error that matters, 0 to 1.
RISE: Final = 0.02
MIN_LABELS: Final = 100
# A change shows soonest where few older rows dilute it; fewer rows find only large changes.
NEWEST: Final = 800


@dataclass(frozen=True, slots=True)
class ErrorRise:
    """How the error of some rows compares; drift needs both comparisons.

    Attributes:
        rows: ``newest`` or ``all``: which labelled rows of the window.
        error: share of wrong predictions among them, 0 to 1; of a regression the mean absolute
            error.
        reference: that of the reference.
        against_reference: test and rise against the reference.
        against_estimate: test and rise against what the inputs explain; None where nothing can be
            estimated.
        minimum: rise of the error that matters.
        residuals: of a regression, the distribution of residuals against the reference's.
    """

    rows: LabelledRows
    error: float
    reference: float
    against_reference: Comparison
    against_estimate: Comparison | None
    minimum: float = RISE
    residuals: Comparison | None = None

    @property
    def risen(self) -> bool:
        """Whether the model errs more than in the reference, for whatever reason."""
        return self.against_reference.drifted

    @property
    def drifted(self) -> bool:
        """Whether it errs more than the inputs explain."""
        return self.risen and (self.against_estimate is None or self.against_estimate.drifted)

    @property
    def scores(self) -> tuple[ColumnScore, ...]:
        """All scores, with these rows as a part of their methods' names."""
        found = (self.against_reference, self.against_estimate, self.residuals)
        return tuple(score for one in found if one for score in (one.test, one.effect))


@dataclass(frozen=True, slots=True)
class ConceptDrift:
    """Verdict on a window.

    Attributes:
        state: ``tested``; ``few_labels`` or ``no_reference`` where window or reference have fewer
            than :data:`MIN_LABELS` labels.
        rises: the newest labelled rows, and all of them.
    """

    state: ConceptState
    rises: tuple[ErrorRise, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether the labels' relation to the inputs has changed."""
        return any(one.drifted for one in self.rises)

    @property
    def reason(self) -> str | None:
        """One phrase for a decision, or None where nothing rose."""
        for one in sorted(self.rises, key=lambda rise: not rise.drifted):
            rose = f"the error rose from {one.reference:.3f} to {one.error:.3f}"
            if one.drifted:
                return f"concept drift: {rose}"
            if one.risen:
                return f"{rose}, as the inputs explain"
        for one in self.rises:
            if one.residuals and one.residuals.drifted:
                return (
                    f"residuals drifted, while the error went from {one.reference:.3f} to "
                    f"{one.error:.3f}: too little to be sure of a rise"
                )
        return None

    @property
    def harmless(self) -> str | None:
        """One phrase for drift of the inputs that cost no accuracy, or None where labels say less.

        A rise that is too small to be sure of is no proof of none: it must be below the least one.
        """
        if not self.rises or any(one.risen for one in self.rises):
            return None
        if any(one.error - one.reference >= one.minimum for one in self.rises):
            return None
        every = self.rises[-1]
        return (
            f"the inputs drifted without loss of accuracy: error {every.error:.3f}, in the "
            f"reference {every.reference:.3f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "state": self.state,
            "drifted": self.drifted,
            "reason": self.reason,
            "errors": {
                one.rows: {
                    "error": one.error,
                    "reference": one.reference,
                    "risen": one.risen,
                    "drifted": one.drifted,
                    **({"residual_drift": one.residuals.drifted} if one.residuals else {}),
                    "scores": {
                        score.method: {"score": score.value, "threshold": score.threshold}
                        for score in one.scores
                    },
                }
                for one in self.rises
            },
        }


def evaluate(
    reference: Outcomes, current: Outcomes, estimator: Estimator, level: float = CONCEPT
) -> ConceptDrift:
    """Evaluate the labelled rows of a window.

    Args:
        reference: labelled rows to compare with.
        current: rows of the window, oldest first.
        estimator: learnt from the same reference.
        level: of each of the two tests, on the newest rows and on all.
    """

    def rise(rows: LabelledRows, before: Outcomes, now: Outcomes) -> ErrorRise:
        return _compare(rows, before, now, estimator, level)

    return evaluate_labelled(reference, current, rise)


def evaluate_labelled(
    reference: AnyOutcomes,
    current: AnyOutcomes,
    compare: Callable[[LabelledRows, AnyOutcomes, AnyOutcomes], ErrorRise],
) -> ConceptDrift:
    """Evaluate the newest labelled rows of a window, and all of them, where there are enough.

    Args:
        reference: labelled rows to compare with.
        current: rows of the window, oldest first.
        compare: how the error of some rows compares with that of the reference's.
    """
    before, now = (one.where(one.labelled) for one in (reference, current))
    if len(before) < MIN_LABELS:
        return ConceptDrift("no_reference")
    if len(now) < MIN_LABELS:
        return ConceptDrift("few_labels")
    newest = now.where(np.arange(len(now)) >= len(now) - NEWEST)
    return ConceptDrift("tested", (compare("newest", before, newest), compare("all", before, now)))


def _compare(
    rows: LabelledRows,
    before: Outcomes,
    now: Outcomes,
    estimator: Estimator,
    level: float,
) -> ErrorRise:
    errors_before, errors_now = (int((one.label != one.predicted).sum()) for one in (before, now))
    usual, error = errors_before / len(before), errors_now / len(now)
    p_value = rise_p_value(errors_before, len(before), errors_now, len(now))
    found = estimator.estimate(now)
    explained = None
    if found.scores and found.standard_error is not None:
        excess = error - (1 - found.scores["accuracy"])
        unlikely = excess_p_value(excess, found.standard_error)
        explained = comparison(f"{rows}_residual", unlikely, excess, level, RISE)
    against = comparison(f"{rows}_error", float(p_value), error - usual, level, RISE)
    return ErrorRise(rows, error, usual, against, explained)


def comparison(name: str, p_value: float, rise: float, level: float, minimum: float) -> Comparison:
    """A rise of the error: its test at a level, and its size, of which the least matters."""
    test = ColumnScore(f"{name}_test", p_value, level, "p_value")
    return Comparison(test, ColumnScore(f"{name}_rise", rise, minimum, "distance"))


def excess_p_value(excess: float, standard_error: float) -> float:
    """Chance of an error so far above the estimated one, or further, by the estimate's error."""
    return float(norm.sf(excess / standard_error)) if standard_error else float(excess <= 0)


def rise_p_value(errors_before: Any, rows_before: Any, errors_now: Any, rows_now: Any) -> Any:  # noqa: ANN401 - numbers or arrays
    """Chance of so many errors now, or more, if the error were the same as before."""
    together, errors = rows_before + rows_now, errors_before + errors_now
    return np.minimum(hypergeom.sf(errors_now - 1, together, errors, rows_now), 1.0)
