"""What a study of relations found, as metrics of Evidently's own form.

So it stands in Evidently's report and JSON beside its own metrics, and its tests and dashboards can
use it. The values are the study's (:mod:`testbed_drift.relations.study`): a metric carries them and
nothing is computed twice. They are no part of its fingerprint, so that a metric is the same one
from run to run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from testbed_drift.rendering.library import SingleValueCalculation, SingleValueMetric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_drift.relations.study import Relations


class _Carried(SingleValueMetric):  # type: ignore[misc]  # Evidently is untyped
    """A metric whose values are known."""

    current: float
    reference: float | None = None

    def get_fingerprint_parts(self) -> Any:  # noqa: ANN401 - Evidently is untyped
        """The parts without the values."""
        parts = super().get_fingerprint_parts()
        return tuple(part for part in parts if part[0] not in {"current", "reference"})


class RelationScore(_Carried):
    """Score of a test that looks at several columns at once, with the threshold it is held to."""

    method: str
    threshold: float
    drifted: bool


class FeatureContribution(_Carried):
    """How much the answers of the model, or of its surrogate, change when a column is shuffled."""

    column: str
    basis: str


class FeatureDriftEffect(_Carried):
    """Contribution of a column to the answers, times its drift."""

    column: str
    basis: str


def _both(calculation: Any) -> Any:  # noqa: ANN401 - Evidently is untyped
    metric = calculation.metric
    before = None if metric.reference is None else calculation.result(metric.reference)
    return calculation.result(metric.current), before


class RelationScoreCalculation(SingleValueCalculation[RelationScore]):  # type: ignore[misc]  # as above
    """Of :class:`RelationScore`."""

    def calculate(self, _context: Any, _current: Any, _reference: Any) -> Any:  # noqa: ANN401 - as above
        """The value."""
        return _both(self)

    def display_name(self) -> str:
        """Title of the figure."""
        verdict = "drifted" if self.metric.drifted else "not drifted"
        return f"Relations: {self.metric.method} (threshold {self.metric.threshold:.3g}): {verdict}"


class FeatureContributionCalculation(SingleValueCalculation[FeatureContribution]):  # type: ignore[misc]  # as above
    """Of :class:`FeatureContribution`."""

    def calculate(self, _context: Any, _current: Any, _reference: Any) -> Any:  # noqa: ANN401 - as above
        """The values of both windows."""
        return _both(self)

    def display_name(self) -> str:
        """Title of the figure."""
        return f"Contribution of {self.metric.column} to the {self.metric.basis}"


class FeatureDriftEffectCalculation(SingleValueCalculation[FeatureDriftEffect]):  # type: ignore[misc]  # as above
    """Of :class:`FeatureDriftEffect`."""

    def calculate(self, _context: Any, _current: Any, _reference: Any) -> Any:  # noqa: ANN401 - as above
        """The value."""
        return _both(self)

    def display_name(self) -> str:
        """Title of the figure."""
        return f"Effect of the drift of {self.metric.column} on the {self.metric.basis}"


def study_metrics(found: Relations) -> Iterator[Any]:
    """Evidently's metrics of a study."""
    for _, comparison, drifted in found.comparisons():
        for score in (comparison.test, comparison.effect):
            if math.isfinite(score.value):
                yield RelationScore(
                    method=score.method,
                    threshold=score.threshold,
                    drifted=drifted,
                    current=score.value,
                )
    if found.contributions is None:
        return
    basis = found.contributions.basis
    for one in found.contributions.columns:
        yield FeatureContribution(
            column=one.column, basis=basis, current=one.current, reference=one.reference
        )
        if one.effect is not None:
            yield FeatureDriftEffect(column=one.column, basis=basis, current=one.effect)
