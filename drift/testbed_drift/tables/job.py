"""Comparing tables: every group and every window of the current one, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from testbed_domain.errors import DomainError
from testbed_domain.tables.columnkinds import kind_of, numbers, texts

from testbed_drift.evaluation.assessment import Assessor
from testbed_drift.jobs.builder import JobBuilder
from testbed_drift.jobs.replay import NoPublisher, Replay
from testbed_drift.jobs.windowsource import GivenWindows, enough
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.segments import Segmentation
from testbed_drift.scoring.limits import ColumnLimits

if TYPE_CHECKING:
    import pandas as pd

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.jobs.job import Reports
    from testbed_drift.rows.cutting import Cutting
    from testbed_drift.settings import DriftSettings
    from testbed_drift.tables.reference import Reference
    from testbed_drift.tables.rows import TableRows
    from testbed_drift.tables.schema import TableSchema


class GroupingError(DomainError):
    """Results can't be distinguished so. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """By what results are distinguished.

    Attributes:
        segment: column whose groups are compared with the same group of the reference, or None.
        version: column of model versions, each compared with the whole reference, or None.
    """

    segment: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        if self.segment and self.version:
            raise GroupingError("give a column of segments or one of versions, not both")

    @property
    def column(self) -> str | None:
        """The column, or None where all rows are one group."""
        return self.segment or self.version

    def parts(
        self, reference: Reference, current: TableRows
    ) -> Iterator[tuple[str | None, TableRows, TableRows]]:
        """Name of each group, its rows of the reference and its rows of the current table.

        Raises:
            GroupingError: the reference does not hold the column of segments.
        """
        if self.version and current.groups is not None:
            for name, chosen in _by_value(texts(current.groups)).items():
                yield name, reference.rows, current.take(chosen)
        elif self.segment and current.groups is not None:
            before = _groups_of(reference, self.segment)
            kind = kind_of(before, typed=True)
            learnt = Segmentation.learn(
                self.segment, "numeric" if kind == "number" else "category", _read(before, kind)
            )
            old = learnt.groups(_read(before, kind))
            new = learnt.groups(_read(current.groups, kind))
            none = np.zeros(len(reference.rows), dtype=bool)
            for name, chosen in new.items():
                yield name, reference.rows.take(old.get(name, none)), current.take(chosen)
        else:
            yield None, reference.rows, current


@dataclass(frozen=True, slots=True)
class TableComparison:
    """How tables are compared.

    Attributes:
        reference: what with.
        settings: limits, and when reports are rendered.
        cutting: windows of the current table.
        grouping: by what results are distinguished.
        reports: takes the reports.
        clock: Unix time.
        publish: takes the group, the result, and the rows of the reference and of the window.
    """

    reference: Reference
    settings: DriftSettings
    cutting: Cutting
    grouping: Grouping
    reports: Reports
    clock: Callable[[], float]
    publish: Callable[[str | None, RunResult, tuple[int, int]], None] = lambda *_: None

    def results(self, current: TableRows, name: str) -> Iterator[tuple[str | None, RunResult]]:
        """Evaluate every window of every group, with what confirms it in the windows before.

        Args:
            current: the rows, in order.
            name: the table's part of the reports' file names.

        Yields:
            The group's name, or None, and the result.

        Raises:
            GroupingError: the reference does not hold the column of segments.
            CuttingError: the windows can't be cut so.
            NotEnoughRowsError: there is no whole window.
        """
        evaluated = False
        for group, before, now in self.grouping.parts(self.reference, current):
            version = group if self.grouping.version and group else self.reference.name
            replay = self._replay(version, current.unread)
            marks = [group] if group else []
            alike = marks if self.grouping.segment else []
            before = before.as_exact_as(now.coarse)  # noqa: PLW2901 - the same rows
            now = now.as_exact_as(before.coarse)  # noqa: PLW2901 - as above
            compared = before.window("-".join([self.reference.name, *alike]))
            for cut in self.cutting.cuts(len(now), now.times):
                evaluated = True
                title = "-".join(filter(None, (name, *marks, cut.name)))
                newest = cut.span.end if cut.span else float(cut.end)
                window = now.take(cut.rows).window(title, cut.span, newest)
                result = replay.evaluate(compared, window)
                self.publish(group, result, (len(before), len(window.frame)))
                yield group, result
        if not evaluated:
            size = getattr(self.cutting, "size", 1)
            enough(name, len(current), max(len(current) + 1, int(size)), "for one window")

    def _replay(self, model_version: str, unread: tuple[str, ...]) -> Replay:
        schema, rows = self.reference.schema, self.settings.relations_rows
        calibration = self.reference.calibration
        limits = ColumnLimits.of(self.settings, calibration)
        builder = JobBuilder(
            self.settings, model_version, schema.kinds, schema.features, limits, calibration
        )
        source = GivenWindows(builder.reader(), self.settings.min_rows)
        job = builder.build(
            source,
            self.reports,
            NoPublisher(),
            self.clock,
            assessor=assessor_of(schema, unread),
            # Without the model itself: a surrogate that has learnt its predictions.
            analyst=Analyst(schema.kinds, rows=rows) if rows else None,
        )
        return Replay(job, source)


def assessor_of(schema: TableSchema, unread: tuple[str, ...] = ()) -> Assessor:
    """What assesses tables of a schema.

    Args:
        schema: of the reference.
        unread: columns that only the current table has.
    """
    return Assessor(
        schema.features,
        schema.kinds,
        unread=unread,
        unreadable=schema.unreadable,
        prediction=schema.roles.prediction or "prediction",
    )


def _by_value(values: pd.Series[Any]) -> dict[str, Any]:
    named = values.where(values.notna(), "missing").to_numpy(dtype=object)
    return {str(name): named == name for name in sorted(set(named))}


def _groups_of(reference: Reference, column: str) -> pd.Series[Any]:
    if reference.rows.groups is not None:
        return reference.rows.groups
    if column in reference.rows.features:
        return reference.rows.features[column]
    raise GroupingError(f"{reference.title} holds no column {column} to distinguish segments by")


def _read(values: pd.Series[Any], kind: str | None) -> list[Any]:
    return numbers(values).tolist() if kind == "number" else texts(values).tolist()
