"""Whether a classifier can distinguish the rows of a window from those of the reference. Pure.

The classifier two-sample test (Friedman 2003, "On multivariate goodness-of-fit and two-sample
testing"; Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests"): rows are split into
halves, a light classifier learns on each which window a row is from, and predicts it for the other.
It sees any dependence that trees can learn, where correlations see monotone ones.

Of rows that the classifier has not seen, the area under the ROC curve is Mann's and Whitney's
statistic of its scores, and without drift its distribution is known whatever the classifier
learnt. So each half gives a valid p-value, and twice the smaller one is their p-value together
(Bonferroni): the budget is kept without draws. Copies of a row count once and are in one half,
see :mod:`testbed_drift.relations.copies`. Drift needs that test *and* a least area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from scipy.stats import mannwhitneyu

from testbed_drift.relations.classifiers import folds, out_of_fold
from testbed_drift.relations.copies import Distinct
from testbed_drift.scoring.levels import DOMAIN
from testbed_drift.scoring.matrices import Coding
from testbed_drift.scoring.scores import ColumnScore, Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from testbed_drift.rows.columns import ColumnKind

DomainState = Literal["tested", "few_rows", "few_columns"]
TEST: Final = "domain_test"
AREA: Final = "domain_auc"
# A single normal column that moves by a quarter of a standard deviation reaches 0.57.
MIN_AREA: Final = 0.55
# In each window: a half of fewer teaches nothing.
MIN_ROWS: Final = 200
_HALVES: Final = 2


@dataclass(frozen=True, slots=True)
class DomainDrift:
    """Verdict on a window.

    Attributes:
        state: ``tested``; ``few_rows`` or ``few_columns`` where there is nothing to test.
        columns: what the classifier saw.
        comparison: p-value, and the mean area under the ROC curve of both halves, 0 to 1.
    """

    state: DomainState
    columns: tuple[str, ...] = ()
    comparison: Comparison | None = None

    @property
    def drifted(self) -> bool:
        """Whether the windows can be distinguished."""
        return self.comparison is not None and self.comparison.drifted


def distinguish(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    kinds: Mapping[str, ColumnKind],
    seed: int = 0,
    level: float = DOMAIN,
) -> DomainDrift:
    """Have a classifier distinguish two windows.

    Args:
        reference: rows as :func:`testbed_drift.rows.frames.declare` makes them.
        current: rows to evaluate, made alike.
        kinds: the columns that the classifier may see, and their kinds.
        seed: of the halves and of the classifier.
        level: p-value up to which they speak of drift.
    """
    if len(kinds) < 2:  # noqa: PLR2004 - one column is evaluated by its own test
        return DomainDrift("few_columns")
    distinct = Distinct.of(reference, current, kinds)
    reference, current = distinct.reference, distinct.current
    if min(len(reference), len(current)) < MIN_ROWS:
        return DomainDrift("few_rows")
    coding = Coding.learn(reference, kinds)
    rows = np.concatenate([coding(reference), coding(current)])
    window = np.repeat([0, 1], [len(reference), len(current)])
    half = folds(window, _HALVES, np.random.default_rng(seed), distinct.groups)
    predicted = out_of_fold(rows, window, coding.categorical, half, seed)[:, 1]
    evaluated = [_evaluated(predicted, window, half == one) for one in range(_HALVES)]
    p_values, areas = zip(*evaluated, strict=True)
    p_value = min(1.0, _HALVES * min(p_values))
    return DomainDrift(
        "tested",
        tuple(kinds),
        Comparison(
            ColumnScore(TEST, p_value, level, "p_value"),
            ColumnScore(AREA, float(np.mean(areas)), MIN_AREA, "distance"),
        ),
    )


def _evaluated(predicted: Any, window: Any, chosen: Any) -> tuple[float, float]:  # noqa: ANN401 - arrays
    """p-value that the window's rows don't score higher, and the area under the ROC curve."""
    now, before = (predicted[chosen & (window == one)] for one in (1, 0))
    found = mannwhitneyu(now, before, alternative="greater", method="asymptotic")
    return float(found.pvalue), float(found.statistic / (len(now) * len(before)))
