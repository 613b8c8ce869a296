"""What a detection says about each column, and the rule that turns scores into a verdict.

A column drifted when a significance test *and* an effect size say so. The test alone flags
differences too small to matter once windows are large; the distance alone flags noise while they
are small. Pure: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from testbed_drift.formatting import finite
from testbed_drift.rows.columns import TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_drift.rows.columns import ColumnKind

KS: Final = "ks"
WASSERSTEIN: Final = "wasserstein"
CHI_SQUARE: Final = "chi_square_two_sample"
TOTAL_VARIATION: Final = "total_variation"
MISSING_TEST: Final = "missing_chi_square"
MISSING_RATIO: Final = "missing_ratio"


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """Thresholds of one comparison.

    Attributes:
        alpha: p-value up to which the test speaks for drift.
        effect: distance from which the effect does.
    """

    alpha: float
    effect: float


@dataclass(frozen=True, slots=True)
class DriftRule:
    """Thresholds of the drift rule.

    Attributes:
        alpha: significance over all columns together; each column gets its equal part (Bonferroni).
            At a window a minute 0.01 would be 14 false positives a day, 0.001 is one or two.
        numeric_effect: least Wasserstein distance, in standard deviations of the reference.
        category_effect: least total variation distance, 0 to 1. For a balanced binary column 0.05
            is the same effect as a numeric one of 0.1.
        class_alpha: significance for the prediction, tested in every run.
        target_alpha: significance for the target.
        min_labels: labelled rows that each window needs before the target is tested.
        alphas: calibrated significance of single columns, which goes before the others.
        max_alpha: no column's significance is above its equal part of it, calibrated or not.
    """

    alpha: float = 0.001
    numeric_effect: float = 0.1
    category_effect: float = 0.05
    class_alpha: float = 0.001
    target_alpha: float = 0.001
    min_labels: int = 100
    alphas: Mapping[str, float] = field(default_factory=dict)
    max_alpha: float | None = None

    def feature_limits(self, column: str, kind: ColumnKind, columns: int) -> DriftLimits:
        """Thresholds of one of ``columns`` features, for a comparison of that kind."""
        effect = self.numeric_effect if kind == "numeric" else self.category_effect
        alpha = self.alphas.get(column, self.alpha / max(columns, 1))
        if self.max_alpha is not None:
            alpha = min(alpha, self.max_alpha / max(columns, 1))
        return DriftLimits(alpha, effect)

    def class_limits(self, column: str, kind: ColumnKind = "category") -> DriftLimits:
        """Thresholds of the prediction or of the target."""
        alpha = self.target_alpha if column == TARGET else self.class_alpha
        effect = self.numeric_effect if kind == "numeric" else self.category_effect
        return DriftLimits(self.alphas.get(column, alpha), effect)


@dataclass(frozen=True, slots=True)
class ColumnScore:
    """One score beside the threshold that it is compared with.

    Attributes:
        method: pinned method, the same for every size of window.
        value: p-value or distance.
        threshold: limit of the value.
        kind: ``p_value`` (small means drift) or ``distance`` (large means drift).
    """

    method: str
    value: float
    threshold: float
    kind: Literal["p_value", "distance"]

    @property
    def exceeded(self) -> bool:
        """Whether this score alone speaks for drift."""
        if self.kind == "p_value":
            return self.value <= self.threshold
        return self.value >= self.threshold


@dataclass(frozen=True, slots=True)
class Comparison:
    """A significance test and an effect size of the same thing; drift needs both."""

    test: ColumnScore
    effect: ColumnScore

    @property
    def drifted(self) -> bool:
        """Whether both scores speak for drift."""
        return self.test.exceeded and self.effect.exceeded


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """Verdict on one column.

    Attributes:
        column: column name.
        comparisons: the values (absent where a window holds none) and, where a window misses some,
            the share of missing values. Empty where both windows hold nothing at all.
    """

    column: str
    comparisons: tuple[Comparison, ...]

    @property
    def drifted(self) -> bool:
        """Whether values or missing share drifted."""
        return any(comparison.drifted for comparison in self.comparisons)

    @property
    def leading(self) -> ColumnScore | None:
        """The effect size to show: of the comparison that drifted, else of the first."""
        ranked = sorted(self.comparisons, key=lambda comparison: not comparison.drifted)
        return ranked[0].effect if ranked else None

    @property
    def scores(self) -> tuple[ColumnScore, ...]:
        """All scores, tests first."""
        return tuple(
            score
            for comparison in self.comparisons
            for score in (comparison.test, comparison.effect)
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: the leading score at the top, all scores below it."""
        leading = self.leading
        return {
            "score": finite(leading.value) if leading else None,
            "threshold": leading.threshold if leading else None,
            "method": leading.method if leading else None,
            "drifted": self.drifted,
            "scores": [
                {
                    "method": score.method,
                    "kind": score.kind,
                    "score": finite(score.value),
                    "threshold": score.threshold,
                    "exceeded": score.exceeded,
                }
                for score in self.scores
            ],
        }


@dataclass(frozen=True, slots=True)
class DriftScores:
    """What one run found.

    Attributes:
        columns: one verdict per feature, in the schema's order.
        prediction: verdict on the predicted class.
        target: verdict on the label, or None while too few labels have come.
    """

    columns: tuple[ColumnDrift, ...]
    prediction: ColumnDrift
    target: ColumnDrift | None = None

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """Names of the drifted features."""
        return tuple(column.column for column in self.columns if column.drifted)

    @property
    def ratio(self) -> float:
        """Share of drifted features, 0 to 1."""
        return len(self.drifted_columns) / len(self.columns) if self.columns else 0.0
