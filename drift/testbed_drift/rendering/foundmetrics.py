"""What was found already, as metrics of Evidently's own form.

So it stands in Evidently's report and JSON beside its own metrics, and its tests and dashboards can
use it. The values are those of the scores (:mod:`testbed_drift.scoring.scores`) and of the study of
relations (:mod:`testbed_drift.relations.study`): a metric carries them and nothing is computed
twice. They are no part of its fingerprint, so that a metric is the same one from run to run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from testbed_drift.rendering.library import (
    SingleValueCalculation,
    SingleValueMetric,
    distribution,
    get_default_render,
)

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

    def title(self) -> str:
        """Title of the figure."""
        raise NotImplementedError

    def figures(self, current: Any, reference: Any) -> list[Any]:  # noqa: ANN401 - as above
        """What to draw below the value, of both windows' rows."""
        del current, reference
        return []


class ColumnDriftScore(_Carried):
    """Score of a column by a method that Evidently lacks, with the threshold it is held to."""

    column: str
    method: str
    threshold: float
    drifted: bool

    def title(self) -> str:
        """Column and verdict."""
        verdict = "detected" if self.drifted else "not detected"
        return f"Drift in column '{self.column}' {verdict}: {self.method}"

    def figures(self, current: Any, reference: Any) -> list[Any]:  # noqa: ANN401 - as above
        """How the values of both windows are distributed."""
        columns = (rows.column(self.column) for rows in (current, reference))
        return list(distribution("", *columns))


class RelationScore(_Carried):
    """Score of a test that looks at several columns at once, with the threshold it is held to."""

    method: str
    threshold: float
    drifted: bool

    def title(self) -> str:
        """Method and verdict."""
        verdict = "drifted" if self.drifted else "not drifted"
        return f"Relations: {self.method} (threshold {self.threshold:.3g}): {verdict}"


class FeatureContribution(_Carried):
    """How much the answers of the model, or of its surrogate, change when a column is shuffled."""

    column: str
    basis: str

    def title(self) -> str:
        """Column and model."""
        return f"Contribution of {self.column} to the {self.basis}"


class FeatureDriftEffect(_Carried):
    """Contribution of a column to the answers, times its drift."""

    column: str
    basis: str

    def title(self) -> str:
        """Column and model."""
        return f"Effect of the drift of {self.column} on the {self.basis}"


class CarriedCalculation(SingleValueCalculation[_Carried]):  # type: ignore[misc]  # as above
    """Of all of them: Evidently binds it to the base, from which they have it."""

    def calculate(self, _context: Any, current: Any, reference: Any) -> Any:  # noqa: ANN401 - as above
        """The values of both windows, and what is drawn of them."""
        metric = self.metric
        now = self.result(metric.current)
        if figures := metric.figures(current, reference):
            now.widget = [*get_default_render(self.display_name(), now), *figures]
        return now, None if metric.reference is None else self.result(metric.reference)

    def display_name(self) -> str:
        """Title of the figure."""
        return str(self.metric.title())


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
