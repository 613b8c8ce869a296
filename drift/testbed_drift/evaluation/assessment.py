"""What a run says beside drift: how well the model does, and what is wrong with the data. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from testbed_domain.errors import DomainError

from testbed_drift.formatting import ReportTable
from testbed_drift.quality.concept import ConceptDrift, evaluate
from testbed_drift.quality.data import CHECKS, DataQuality, check
from testbed_drift.quality.estimation import Estimate, Estimator
from testbed_drift.quality.lossestimation import LossEstimator
from testbed_drift.quality.numbers import evaluate_numbers, measure_numbers, read, strange
from testbed_drift.quality.outcomes import Outcomes, delays
from testbed_drift.quality.performance import LabelFlow, Performance, label_flow, measure
from testbed_drift.rows.segments import MAX, Segmentation
from testbed_drift.scoring.levels import CONCEPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from testbed_domain.features import FeatureSchema
    from testbed_domain.logstore import Columns

    from testbed_drift.rows.columns import ColumnKind

    Groups = Mapping[str, np.ndarray[Any, Any]]


class AssessmentError(DomainError):
    """What was asked for can't be assessed. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """How the model does in the current window, and how it did in the reference.

    Attributes:
        reference: realised performance in the reference.
        current: realised performance in the current window, as far as labels have come.
        estimate: expected performance of the current window, labels aside.
        labels: coverage and delay of the current window's labels.
        quality: what is wrong with the data of the current window.
        concept: whether labels show more errors than the inputs explain.
        segments: realised performance by segment of the current window.
        estimates: expected performance by segment of it, labels aside.
    """

    reference: Performance
    current: Performance
    estimate: Estimate
    labels: LabelFlow
    quality: DataQuality
    concept: ConceptDrift
    segments: Mapping[str, Performance] = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "performance": {
                "reference": self.reference.to_dict(),
                "realised": self.current.to_dict(),
                "estimated": self.estimate.to_dict(),
                "labels": self.labels.to_dict(),
                "segments": {
                    name: found.to_dict() | {"estimated": self.estimates[name].to_dict()}
                    for name, found in self.segments.items()
                },
            },
            "quality": self.quality.to_dict(),
            "concept_drift": self.concept.to_dict(),
        }

    def tables(self) -> tuple[ReportTable, ...]:
        """What the report shows: of tables without predictions no performance."""
        wanted = self._measured
        performance = ReportTable(
            f"Performance on the {self.current.labels} of {self.current.rows} rows "
            f"whose labels have come{self._concept_words()}",
            ("rows", "state", "labels", *wanted),
            tuple(self._performance_rows(wanted)),
        )
        predicted = self.current.rows or self.reference.rows
        return (*([performance] if predicted else []), self._quality_table())

    def _concept_words(self) -> str:
        return f"; {self.concept.reason}" if self.concept.reason else ""

    def _quality_table(self) -> ReportTable:
        """The columns that are worse than in the reference: one of many would be hidden."""
        found = [column for column in self.quality.columns if column.worse]
        rows = [
            (
                column.column,
                *(f"{column.ratios[name]:.4g}" for name in CHECKS),
                ", ".join(column.new),
            )
            for column in found
        ]
        return ReportTable(
            f"Data quality: {len(found) or 'none'} of {len(self.quality.columns)} columns "
            f"{'is' if len(found) <= 1 else 'are'} worse than in the reference; "
            f"{_shown(self.quality.duplicated)} of the rows are repeated "
            f"({_shown(self.quality.reference_duplicated)} there)",
            ("column", *map(_words, CHECKS), "new values"),
            tuple(rows),
        )

    @property
    def _measured(self) -> tuple[str, ...]:
        """Scores of which there is at least one."""
        found = [one.scores for one in (self.reference, self.current, *self.segments.values())]
        found += [one.scores or {} for one in (self.estimate, *self.estimates.values())]
        return tuple(
            name for name in self.current.names if any(one.get(name) is not None for one in found)
        )

    def _performance_rows(self, wanted: Sequence[str]) -> Iterator[tuple[str, ...]]:
        yield _estimated_row("current", self.estimate, wanted)
        parts = {"reference": self.reference, "current": self.current, **self.segments}
        for name, found in parts.items():
            if name in self.estimates:
                yield _estimated_row(name, self.estimates[name], wanted)
            scores = (_shown(found.scores.get(score)) for score in wanted)
            yield (name, _words(found.state), str(found.labels), *scores)


@dataclass(frozen=True, slots=True)
class Assessor:
    """Assesses windows of one model.

    Attributes:
        schema: the model's classes and features.
        kinds: feature columns and kinds.
        segment: column by whose values performance is distinguished, or None.
        maximum: most values of a category that are segments of their own.
        level: of each test of the model's error.
        unread: columns beside those of the windows, which the model does not know.
        unreadable: of tables: column of the reference to a phrase on values that can't be read as
            its kind; None where values are no table's.
        prediction: what the column of the predictions is called.

    Raises:
        AssessmentError: the model has no such column.
    """

    schema: FeatureSchema
    kinds: Mapping[str, ColumnKind]
    segment: str | None = None
    maximum: int = MAX
    unread: tuple[str, ...] = ()
    level: float = CONCEPT
    unreadable: Mapping[str, str] | None = None
    prediction: str = "prediction"

    def __post_init__(self) -> None:
        if self.segment is not None and self.segment not in self.kinds:
            raise AssessmentError(
                f"cannot segment by {self.segment!r}, which is not a column of the model; choose "
                f"one of: {', '.join(self.kinds)}"
            )

    def assess(self, reference: Columns, current: Columns) -> Assessment:
        """Assess the current window beside the reference."""
        groups = self._groups(reference, current)
        quality = check(reference.features, current.features, self.schema).beside(self.unread)
        if self.unreadable is not None:
            quality = quality.with_unreadable(self.unreadable, self._strange(current))
        assess = self._numbers if self.schema.regression else self._classes
        return assess(reference, current, quality, groups)

    def _classes(
        self, reference: Columns, current: Columns, quality: DataQuality, groups: Groups
    ) -> Assessment:
        before, now = (
            Outcomes.of(columns, self.schema.classes, self.schema.positive_class)
            for columns in (reference, current)
        )
        estimator = Estimator.learn(before)
        return Assessment(
            measure(before),
            measure(now),
            estimator.estimate(now),
            label_flow(now),
            quality,
            evaluate(before, now, estimator, self.level),
            {name: measure(now.where(chosen)) for name, chosen in groups.items()},
            # By the calibration of all rows: that of a segment's own few missed by more.
            {name: estimator.estimate(now.where(chosen)) for name, chosen in groups.items()},
        )

    def _numbers(
        self, reference: Columns, current: Columns, quality: DataQuality, groups: Groups
    ) -> Assessment:
        before, now = read(
            reference, current, self.kinds, [delays(columns) for columns in (reference, current)]
        )
        estimator = LossEstimator.learn(before)
        return Assessment(
            measure_numbers(before),
            measure_numbers(now),
            estimator.estimate(now),
            label_flow(now),
            quality,
            evaluate_numbers(before, now, estimator, self.level),
            {name: measure_numbers(now.where(chosen)) for name, chosen in groups.items()},
            {name: estimator.estimate(now.where(chosen)) for name, chosen in groups.items()},
        )

    def _strange(self, current: Columns) -> dict[str, int]:
        """Of a regression, target and prediction to rows that hold no number."""
        if not self.schema.regression:
            return {}
        predicted = {self.prediction: current.prediction, self.schema.target: current.label}
        return {name: strange(values) for name, values in predicted.items()}

    def _groups(self, reference: Columns, current: Columns) -> Groups:
        if self.segment is None:
            return {}
        learnt = Segmentation.learn(
            self.segment,
            self.kinds[self.segment],
            reference.features.get(self.segment, ()),
            self.maximum,
        )
        return learnt.groups(current.features.get(self.segment, ()))


def _estimated_row(name: str, found: Estimate, wanted: Sequence[str]) -> tuple[str, ...]:
    expected = (_shown((found.scores or {}).get(score)) for score in wanted)
    return (f"{name}, estimated", _words(found.state), "none needed", *expected)


def _words(state: str) -> str:
    return state.replace("_", " ")


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
