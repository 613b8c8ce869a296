"""A reference table that has been read: what other tables are compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from testbed_domain.tables.formats import LABELS_ROWS

from testbed_drift.jobs.windowsource import enough
from testbed_drift.tables.pinning import choose, pin
from testbed_drift.tables.rows import TableRows
from testbed_drift.tables.schema import TableSchema, TableSchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from testbed_drift.scoring.calibration import Calibration
    from testbed_drift.tables.schema import ColumnRoles
    from testbed_drift.tables.sources import TableSource


@dataclass(frozen=True, slots=True)
class WantedReference:
    """What to make of a table.

    Attributes:
        roles: the columns that are no features.
        columns: columns to compare; empty for all.
        time: column of the rows' times, or None.
        group: column by which results are distinguished, or None.
    """

    roles: ColumnRoles
    columns: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None

    @property
    def known(self) -> tuple[str | None, ...]:
        """Columns that were named, for whatever."""
        return (*self.roles.columns, *self.columns, self.time, self.group)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference.

    Attributes:
        name: what calibrations and reports know it by.
        title: what errors call it.
        schema: its columns, pinned.
        rows: its rows.
        calibration: its thresholds, or None where nobody calibrated.
    """

    name: str
    title: str
    schema: TableSchema
    rows: TableRows
    calibration: Calibration | None = None

    def current(self, source: TableSource, wanted: WantedReference) -> TableRows:
        """Read a table to compare with it; of the target, labels may not have come yet.

        Args:
            source: the table.
            wanted: its columns of times and groups.

        Raises:
            SourceError: it can't be read.
            TableSchemaError: it lacks a column, or one holds something else; names the columns.
        """
        names = source.names()
        known = [column.name for column in self.schema.columns] + [
            name for name in self.schema.roles.columns if name != self.schema.roles.target
        ]
        beside = [name for name in (wanted.time, wanted.group) if name]
        if absent := [name for name in dict.fromkeys((*known, *beside)) if name not in names]:
            raise TableSchemaError(
                f"{source.title} lacks columns of {self.title}: {', '.join(absent)}; it has "
                f"{', '.join(names) or 'none'}{_perhaps(source, names)}"
            )
        target = self.schema.roles.target
        columns = [*known, *beside, *([target] if target in names else [])]
        rows = _rows(source, self.schema, columns, wanted)
        labels = source.labels()
        return replace(rows, unread=self.schema.unread(names, [*beside, *labels]))


def read_reference(source: TableSource, wanted: WantedReference) -> Reference:
    """Read a reference and pin its columns.

    Args:
        source: the table.
        wanted: which of its columns are what; times only say from when it is.

    Raises:
        SourceError: it can't be read.
        TableSchemaError: a column that was named is not there, or there is nothing to compare.
        NotEnoughRowsError: it has no rows.
    """
    frame, schema = read_table(source, wanted)
    rows = TableRows.of(
        frame,
        schema,
        time=wanted.time if wanted.time in frame and frame[wanted.time].notna().any() else None,
        group=wanted.group if wanted.group in frame else None,
        typed=source.typed,
        options=source.options,
    )
    return Reference(source.stem, source.title, schema, rows)


def read_table(source: TableSource, wanted: WantedReference) -> tuple[pd.DataFrame, TableSchema]:
    """The reference's own rows and its pinned columns; raises as :func:`read_reference`."""
    names = source.names()
    labels = [name for name in source.labels() if name not in wanted.known]
    chosen = choose(names, wanted.roles, wanted.columns, [wanted.time], labels)
    beside = [name for name in (wanted.group, wanted.time) if name in names]
    frame = source.read([*chosen, *wanted.roles.columns, *beside])
    enough(source.title, len(frame), 1)
    schema = pin(
        frame,
        chosen,
        wanted.roles,
        typed=source.typed,
        asked=bool(wanted.columns),
        options=source.options,
    )
    left_out = dict.fromkeys(labels, LABELS_ROWS) | dict(schema.left_out)
    schema = replace(schema, left_out=left_out)
    return frame, replace(schema, beside=schema.unread(names, (wanted.time,)))


def _rows(
    source: TableSource, schema: TableSchema, columns: Sequence[str], wanted: WantedReference
) -> TableRows:
    frame: Any = source.read(columns)
    try:
        return TableRows.of(
            frame,
            schema,
            time=wanted.time,
            group=wanted.group,
            typed=source.typed,
            options=source.options,
        )
    except TableSchemaError as error:
        raise TableSchemaError(f"{source.title}: {error}") from None


def _perhaps(source: TableSource, names: Sequence[str]) -> str:
    """What may be wrong where a CSV file was read as one column."""
    one = len(names) == 1 and not source.typed and not source.options.sep
    return "; if it has more columns, say with --sep what is between them" if one else ""
