"""Scores of a window, from statistics of the reference that are kept.

Cheap enough for every window; Evidently, whose values these are, is imported and asked only for a
report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from testbed_drift.formatting import ReportHeading
from testbed_drift.relations.copies import Distinct, numbered
from testbed_drift.rows.columns import PREDICTION, TARGET, ColumnKind
from testbed_drift.rows.frames import is_numeric
from testbed_drift.scoring.scores import (
    ColumnDrift,
    ColumnScore,
    Comparison,
    DriftRule,
    DriftScores,
)
from testbed_drift.scoring.statistics.base import CachedColumn, Categories, Numbers
from testbed_drift.scoring.statistics.registry import statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from testbed_drift.formatting import ReportTable
    from testbed_drift.relations.study import Relations
    from testbed_drift.rendering.figures import Figures

    Columns = Mapping[str, CachedColumn]

SAMPLING_SEED: Final = 0
# Customers come back, but not so often: where fewer rows are no copies, something stands still.
MIN_WITNESSES: Final = 0.4


@dataclass(frozen=True)
class Detection:
    """Result of one comparison of two windows.

    Attributes:
        scores: verdict per column.
        reference: the rows compared with.
        current: the rows evaluated.
        relations: what no single column shows, for the report; None where nobody studied it.
    """

    scores: DriftScores
    reference: pd.DataFrame
    current: pd.DataFrame
    relations: Relations | None = None

    @cached_property
    def _figures(self) -> Figures:
        from testbed_drift.rendering.figures import draw  # noqa: PLC0415 - takes seconds, and only if wanted

        return draw(self.scores, self.reference, self.current, self.relations)

    def with_relations(self, relations: Relations) -> Detection:
        """The same with a study whose metrics the report shows too."""
        return replace(self, relations=relations)

    def metrics(self) -> list[dict[str, Any]]:
        """Evidently's metrics of the same windows: name, configuration and value, JSON-ready."""
        return self._figures.metrics()

    def snapshot(self) -> Any:  # noqa: ANN401 - Evidently is untyped
        """Evidently's own result of the same windows."""
        return self._figures.snapshot

    def widgets(self) -> list[Any]:
        """Evidently's figures."""
        return self._figures.widgets()

    def html(
        self,
        heading: ReportHeading | None = None,
        tables: Sequence[ReportTable] = (),
        further: Sequence[Any] = (),
    ) -> str:
        """The report: one page of about 4 MB, offline. Evidently's figures are folded.

        Args:
            heading: what stands first.
            tables: what was found beside drift.
            further: widgets of Evidently's below those of this.
        """
        from testbed_drift.rendering.overview import overview  # noqa: PLC0415 - as above
        from testbed_drift.rendering.page import page  # noqa: PLC0415 - as above

        heading = heading or ReportHeading("Drift report")
        top = overview(heading, self.scores, (self.reference, self.current), tables)
        return page([*self.widgets(), *further], heading.title, top)


class Detector:
    """Compares two windows column by column; keeps the statistics of the last reference.

    Args:
        kinds: feature columns in the schema's order, with their kinds.
        rule: thresholds.
        cap: rows of a window from which on a sample of so many is evaluated: drawn uniformly
        without
            replacement by a fixed seed, so that the same rows give the same scores. None evaluates
            all.
    """

    def __init__(
        self,
        kinds: Mapping[str, ColumnKind],
        rule: DriftRule | None = None,
        cap: int | None = None,
    ) -> None:
        self._kinds = dict(kinds)
        self._rule = rule or DriftRule()
        self._cap = cap
        self._statistics = statistics()
        self._reference: pd.DataFrame | None = None
        self._before: Columns = {}
        self._repeats = False

    def detect(self, reference: pd.DataFrame, current: pd.DataFrame) -> Detection:
        """Compare two windows.

        Args:
            reference: rows to compare with, as made by :func:`testbed_drift.rows.frames.declare`;
                must not change afterwards, for the same frame is not read again.
            current: rows to evaluate, made alike; neither may be empty. Where one of them holds no
                predictions, these are not compared.
        """
        if reference is not self._reference:
            self._before = self._cached(reference)
            self._repeats = len(numbered(reference, self._kinds)[1]) < len(reference)
            self._reference = reference
        current = self._sampled(current)
        now = self._cached(current)
        witnesses = self._witnesses(reference, current)
        return Detection(self._evaluate(self._before, now, witnesses), reference, current)

    def _witnesses(self, reference: pd.DataFrame, current: pd.DataFrame) -> tuple[float, float]:
        """Of either window, the ratio of its rows that are no copies of others."""
        if not self._repeats and len(numbered(current, self._kinds)[1]) == len(current):
            return 1.0, 1.0
        found = Distinct.of(reference, current, self._kinds)
        ratios = (
            len(single) / len(whole)
            for single, whole in ((found.reference, reference), (found.current, current))
        )
        before, now = (max(ratio, MIN_WITNESSES) for ratio in ratios)
        return before, now

    def _sampled(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self._cap is None or len(frame) <= self._cap:
            return frame
        rng = np.random.default_rng(SAMPLING_SEED)
        chosen = rng.choice(len(frame), self._cap, replace=False, shuffle=False)
        return frame.iloc[np.sort(chosen)].reset_index(drop=True)

    def _cached(self, frame: pd.DataFrame) -> Columns:
        return {
            name: Numbers.of(frame[name].to_numpy(dtype=float))
            if is_numeric(frame[name])
            else Categories.of(frame[name])
            for name in (*self._kinds, PREDICTION, TARGET)
        }

    def _evaluate(
        self, before: Columns, now: Columns, witnesses: tuple[float, float]
    ) -> DriftScores:
        columns = tuple(
            ColumnDrift(name, self._compared(name, before[name], now[name], witnesses))
            for name in self._kinds
        )
        prediction, target = (
            self._compared(name, before[name], now[name], witnesses)
            for name in (PREDICTION, TARGET)
        )
        labels = min(before[TARGET].present, now[TARGET].present)
        enough = labels >= self._rule.min_labels
        return DriftScores(
            columns,
            ColumnDrift(PREDICTION, prediction),
            ColumnDrift(TARGET, target) if enough else None,
        )

    def _compared(
        self, name: str, before: CachedColumn, now: CachedColumn, witnesses: tuple[float, float]
    ) -> tuple[Comparison, ...]:
        """By all statistics that apply; of a class those of its values only."""
        found = []
        for statistic in self._statistics:
            feature = name in self._kinds
            if not statistic.applies(before, now) or not (feature or statistic.of_values):
                continue
            limits = (
                self._rule.feature_limits(name, statistic.limits, len(self._kinds))
                if feature
                else self._rule.class_limits(name, statistic.limits)
            )
            p_value, effect = statistic.compare(before, now, witnesses)
            found.append(
                Comparison(
                    ColumnScore(statistic.test, p_value, limits.alpha, "p_value"),
                    ColumnScore(statistic.effect, effect, limits.effect, "distance"),
                )
            )
        return tuple(found)
