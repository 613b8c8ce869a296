"""``run`` on tables: from options to results, their publication and the exit code."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.errors import DomainError

from testbed_drift.cli.ending import exit_code, warn, write
from testbed_drift.evaluation.failures import failed_run
from testbed_drift.jobs.replay import NoReports
from testbed_drift.rows.cutting import ByCount, Whole, WindowOptions
from testbed_drift.scoring.calibration import Calibration
from testbed_drift.scoring.limits import calibrated
from testbed_drift.settings import DriftSettings, read_settings
from testbed_drift.steps import step
from testbed_drift.storage.reports import ReportStore
from testbed_drift.tables.display import lines
from testbed_drift.tables.job import Grouping, TableComparison
from testbed_drift.tables.opening import current_source, opened_reference, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from testbed_drift.tables.options import TableOptions
    from testbed_drift.tables.publication import Publication
    from testbed_drift.tables.reference import Reference

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOWHERE: Final = "none"


@dataclass(frozen=True, slots=True)
class TableRequest:
    """What a command was asked for.

    Attributes:
        tables: which, and what their columns are.
        given: settings of the job that are options of the command.
        every: from one window to the next, or None.
        report: folder of reports, or None.
        endpoint: OTLP endpoint, or None.
        began: Unix time at which the command began.
    """

    tables: TableOptions
    given: dict[str, Any]
    every: str | None
    report: Path | None
    endpoint: str | None
    began: float

    def settings(self) -> DriftSettings:
        """Settings of the job.

        Window, segment and calibration are not from the environment: there they are those of the
        job that watches a log.
        """
        apart = {"window", "window_rows", "segment", "calibration"}
        given = {name: value for name, value in self.given.items() if name not in apart}
        output = self.report or Path()
        fixed = {"log_url": "none", "artefact": ".", "output": output, "max_rows": sys.maxsize}
        settings = read_settings(**{**given, **fixed})
        return settings if self.report else settings.model_copy(update={"html": "never"})


def run_tables(request: TableRequest, *, as_json: bool) -> int:
    """Compare two tables, print the results, and return the exit code.

    Args:
        request: what was asked for.
        as_json: print an object per result, and nothing else.
    """
    publication = None
    try:
        settings = request.settings()
        publication = _publication(request, settings)
        code = _compare(request, settings, publication, as_json=as_json)
    except DomainError as error:
        name = request.tables.reference or "reference"
        failed = failed_run(name, request.began, time.time(), error)
        if as_json:
            write(json.dumps(failed.record()))
        if publication:
            publication.fail(failed)
            _close(publication)
        raise
    if publication:
        _close(publication)
    return code


def _publication(request: TableRequest, settings: DriftSettings) -> Publication | None:
    """Where results go beside the terminal; None where neither options nor environment ask for it.

    Raises:
        DriftSettingsError: the textfile has no folder.
    """
    endpoint = request.endpoint or os.environ.get(ENDPOINT) or NOWHERE
    if endpoint == NOWHERE and not settings.textfile:
        return None
    # Imported late: the SDK takes a second.
    from testbed_drift.publishing.textfile import Textfile
    from testbed_drift.tables.publication import Publication

    return Publication(endpoint, Textfile.of(settings.textfile) if settings.textfile else None)


def _compare(
    request: TableRequest,
    settings: DriftSettings,
    publication: Publication | None,
    *,
    as_json: bool,
) -> int:
    tables, given = request.tables, request.given
    windows = WindowOptions(given.get("window_rows"), given.get("window"), request.every).cutting()
    grouping = Grouping(given.get("segment"), tables.version_column)
    columns = wanted(tables, grouping.column)
    source = current_source(tables)
    step("reading the reference")
    reference, notes = opened_reference(tables, columns)
    reference = _calibrated(reference, given.get("calibration"))
    settings = _noticing(calibrated(settings, reference.calibration), reference)
    if publication:
        publication.begin(reference, settings, grouping)
    step(f"reading {source.title}")
    read = reference.current(source, columns)
    notes = [*dict.fromkeys([*notes, *source.notes])]
    if reference.schema.task_line:
        notes.append(reference.schema.task_line)
    current = read.in_order()
    if len(current) < len(read):
        notes.append(f"{len(read) - len(current)} rows without a time are left out")
    if read.unread:
        unread = ", ".join(read.unread)
        notes.append(f"{source.title} has columns that {reference.title} lacks, left out: {unread}")
    _warn_all(notes)
    comparison = TableComparison(
        reference,
        settings,
        windows,
        grouping,
        ReportStore(request.report) if request.report else NoReports(),
        _since(request.began),
        publication.take if publication else lambda *_: None,
    )
    single = grouping.column is None and windows == Whole()
    results = []
    for group, result in comparison.results(current, source.stem):
        results.append(result)
        if as_json:
            write(json.dumps(result.record() | _beside(reference, group, notes), allow_nan=False))
        else:
            for line in lines(result, reference.schema, group, whole=single):
                write(line)
        if result.unstored:
            warn(result.unstored)
    rows = len(current)
    if isinstance(windows, ByCount) and grouping.column is None and windows.left_over(rows):
        warn(f"the last {windows.left_over(rows)} rows fill no window")
    return exit_code(results)


def _noticing(settings: DriftSettings, reference: Reference) -> DriftSettings:
    """The settings, by which one drifted column is an ALERT where nobody set another limit."""
    if reference.calibration or {"alert_share", "alert_columns"} & settings.model_fields_set:
        return settings
    return settings.model_copy(update={"alert_columns": 1})


def _close(publication: Publication) -> None:
    _warn_all(publication.end())


def _warn_all(lines: Iterable[str]) -> None:
    for line in lines:
        warn(line)


def _calibrated(reference: Reference, file: Path | None) -> Reference:
    if file is None:
        return reference
    calibration = Calibration.load(file)
    calibration.verify(reference.name, reference.rows.frame)
    return replace(reference, calibration=calibration)


def _since(began: float) -> Callable[[], float]:
    """A clock whose first reading is the command's start, so that reading the tables counts."""
    first = iter([began])
    return lambda: next(first, None) or time.time()


def _beside(reference: Reference, group: str | None, notes: list[str]) -> dict[str, Any]:
    """What an object says beside the record of the run."""
    kinds = {column.label: column.to_dict() for column in reference.schema.columns}
    return {
        "group": group,
        "task": reference.schema.task,
        "kinds": kinds,
        "left_out": dict(reference.schema.left_out),
        "notes": notes,
    }
