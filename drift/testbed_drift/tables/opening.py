"""Tables that options name, opened and read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from testbed_domain.features import TASKS
from testbed_domain.tables.reading import ReadOptions

from testbed_drift.settings import DriftSettingsError
from testbed_drift.tables.reference import WantedReference, read_reference
from testbed_drift.tables.schema import ColumnRoles
from testbed_drift.tables.sources import open_source
from testbed_drift.tables.store import ReferenceStore, StoreError

if TYPE_CHECKING:
    from testbed_drift.tables.options import TableOptions
    from testbed_drift.tables.reference import Reference
    from testbed_drift.tables.sources import TableSource


def reference_source(options: TableOptions) -> TableSource:
    """The table to compare with, where it is a file or a query.

    Raises:
        SourceError: nothing names one, or a value is not one of those that there are.
    """
    given = (options.reference, options.reference_url, options.reference_query)
    return open_source("reference", *given, _reading(options))


def current_source(options: TableOptions) -> TableSource:
    """The table to evaluate; raises as :func:`reference_source`."""
    given = (options.current, options.current_url, options.current_query)
    return open_source("current", *given, _reading(options))


def wanted(options: TableOptions, group: str | None = None) -> WantedReference:
    """What to make of the tables.

    Args:
        options: as they were given.
        group: column by whose values results are distinguished, or None.

    Raises:
        DriftSettingsError: the task is not one of those that there are.
    """
    task = next((one for one in TASKS if one == options.task), None)
    if options.task and task is None:
        raise DriftSettingsError(f"--task is {' or '.join(TASKS)}, not {options.task}")
    predicted = [one.rpartition("=")[::2] for one in options.probability or ()]
    roles = ColumnRoles(options.target, options.prediction, dict(predicted), options.positive, task)
    columns = tuple(filter(None, (options.columns or "").split(",")))
    return WantedReference(roles, columns, options.time_column, group)


def store_of(options: TableOptions) -> ReferenceStore:
    """The stored references."""
    return ReferenceStore(options.store or Path("references"))


def opened_reference(
    options: TableOptions, columns: WantedReference, *, thresholds: bool = True
) -> tuple[Reference, list[str]]:
    """The reference: a file, a query, or one that is kept, with thresholds where it has any.

    Returns:
        The reference, and what there is to say about how it was read.

    Raises:
        DomainError: there is none, or it can't be used so.
    """
    name, store = options.reference, store_of(options)
    if name is None or Path(name).is_file():
        source = reference_source(options)
        return read_reference(source, columns), [*source.notes]
    if not store.holds(name) and ("." in name or os.sep in name):
        raise StoreError(f"there is no file {name}")
    found = store.load(name, thresholds=thresholds)
    if columns.columns or options.kinds or columns.roles not in (ColumnRoles(), found.schema.roles):
        raise StoreError(
            f"{found.title} has its own target, prediction, columns and kinds: leave these "
            f"options away, or add it again with them (testbed drift reference show "
            f"{found.name})"
        )
    return found, []


def _reading(options: TableOptions) -> ReadOptions:
    return ReadOptions.parse(options.sep, options.decimal, options.encoding, options.kinds)
