"""``run`` and ``calibrate`` on tables, and ``reference``: wiring and exit codes."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed_domain.errors import DomainError

from testbed_drift.settings import DriftSettings, DriftSettingsError, read_settings
from testbed_drift.tables.options import TableOptions, count
from testbed_drift.tables.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.scoring.calibration import Calibration, Plan
    from testbed_drift.tables.reference import Reference


def run_tables(
    options: TableOptions, arguments: dict[str, Any], *, as_json: bool, began: float
) -> int:
    """Compare two tables, print the results, and return the exit code.

    Args:
        options: of tables.
        arguments: parsed settings.
        as_json: print an object per result, and nothing else.
        began: Unix time at which the command began.
    """
    outlet = None
    try:
        endpoint = arguments.pop("otlp_endpoint", None)
        # Not from the environment: there they are those of the job that watches a log.
        apart = {name: arguments.pop(name, None) for name in ("window", "segment", "calibration")}
        outlet = Outlet.of(endpoint, _settings(arguments, options.report))
        code = _compare(options, apart, outlet, as_json=as_json, began=began)
    except DomainError as error:
        from testbed_drift.evaluation.failures import failed_run  # noqa: PLC0415 - as in __main__._run

        failed = failed_run(options.reference or "reference", began, time.time(), error)
        if as_json:
            _print(json.dumps(failed.record()))
        if outlet:
            outlet.fail(failed)
            _close(outlet)
        raise
    _close(outlet)
    return code


def _compare(
    options: TableOptions,
    apart: dict[str, Any],
    outlet: Outlet,
    *,
    as_json: bool,
    began: float,
) -> int:
    from testbed_drift.jobs.replay import NoReports  # noqa: PLC0415 - the same
    from testbed_drift.rows.cutting import ByCount, Whole, WindowOptions  # noqa: PLC0415 - as in __main__._build
    from testbed_drift.scoring.limits import calibrated  # noqa: PLC0415 - the same
    from testbed_drift.storage.reports import ReportStore  # noqa: PLC0415 - the same
    from testbed_drift.tables.display import lines  # noqa: PLC0415 - the same
    from testbed_drift.tables.job import Grouping, TableComparison  # noqa: PLC0415 - the same

    windows = WindowOptions(count(options.window_rows), apart["window"], options.every).cutting()
    grouping = Grouping(apart["segment"], options.version_column)
    wanted = options.wanted(grouping.column)
    source = options.current_source()
    reference = _calibrated(options.read_reference(wanted), apart["calibration"])
    settings = calibrated(outlet.settings, reference.calibration)
    outlet.begin(reference, settings, grouping)
    read = reference.current(source, wanted)
    notes = [*{**options.notes, **source.notes}]
    if reference.schema.task_line:
        notes.append(reference.schema.task_line)
    current = read.in_order()
    if len(current) < len(read):
        notes.append(f"{len(read) - len(current)} rows without a time are left out")
    if read.unread:
        columns = ", ".join(read.unread)
        notes.append(
            f"{source.title} has columns that {reference.title} lacks, left out: {columns}"
        )
    for line in notes:
        _warn(line)
    comparison = TableComparison(
        reference,
        settings,
        windows,
        grouping,
        ReportStore(Path(options.report)) if options.report else NoReports(),
        _since(began),
        outlet.take,
    )
    single = grouping.column is None and windows == Whole()
    results = []
    for group, result in comparison.results(current, source.stem):
        results.append(result)
        if as_json:
            _print(json.dumps(result.record() | _beside(reference, group, notes), allow_nan=False))
        else:
            for line in lines(result, reference.schema, group, whole=single):
                _print(line)
    rows = len(current)
    if isinstance(windows, ByCount) and grouping.column is None and windows.left_over(rows):
        _warn(f"the last {windows.left_over(rows)} rows fill no window")
    return exit_code(results)


def _close(outlet: Outlet) -> None:
    for line in outlet.close():
        _warn(line)


def exit_code(results: list[RunResult]) -> int:
    """1 where any window asks for action, 2 where none could be evaluated, else 0."""
    found = [result.finding for result in results if result.finding]
    if any(one.decision.action != "NO_ACTION" for one in found):
        return 1
    failed = any(result.outcome == "error" for result in results)
    return 2 if failed or not found else 0


def calibrate_table(
    options: TableOptions, plan: Plan, output: str | None
) -> tuple[Calibration, Path]:
    """Calibrate on a reference table; a kept one keeps the thresholds beside it.

    Raises:
        DriftSettingsError: nothing says where to write them.
    """
    from testbed_drift.scoring.calibration import calibrate  # noqa: PLC0415 - as in __main__._build
    from testbed_drift.scoring.scores import DriftRule  # noqa: PLC0415 - the same
    from testbed_drift.tables.store import ReferenceStore  # noqa: PLC0415 - the same

    reference = options.read_reference(options.wanted(), thresholds=False)
    kept = options.reference is not None and not Path(options.reference).is_file()
    if output is None and not kept:
        raise DriftSettingsError(
            "say where to write the thresholds: --output FILE, and run with --calibration FILE; or "
            "keep the reference: testbed drift reference add"
        )
    path = (
        Path(output)
        if output
        else ReferenceStore(options.store).find(options.reference).calibration
    )
    found = calibrate(
        reference.rows.frame, reference.schema.kinds, DriftRule(), plan, reference.name
    )
    found.save(path)
    return found, path


def manage_references(arguments: dict[str, Any]) -> int:
    """``reference add|list|show|remove``."""
    from testbed_drift.tables.store import ReferenceStore  # noqa: PLC0415 - as in __main__._build

    action, name = arguments.pop("action"), arguments.pop("name", None)
    file = arguments.pop("file", None)
    options = TableOptions(arguments)
    store = ReferenceStore(options.store)
    actions: dict[str, Callable[[], None]] = {
        "add": lambda: _keep(store, name, file, options),
        "list": lambda: _list(store),
        "show": lambda: _print(json.dumps(store.find(name).manifest(), indent=1)),
        "remove": lambda: _print(f"removed {', '.join(store.remove(name))}"),
    }
    actions[action]()
    return 0


def _keep(store: Any, name: str, file: str | None, options: TableOptions) -> None:  # noqa: ANN401 - imported late
    from testbed_drift.tables.sources import open_source  # noqa: PLC0415 - as in __main__._build

    given = (file, options.reference_url, options.reference_query)
    source = open_source("reference", *given, options.reading())
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept, new = store.add(name, source, options.wanted(), created)
    columns = ", ".join(f"{one.name} ({one.kind})" for one in kept.schema.columns)
    _print(
        f"{'kept as' if new else 'is kept already as'} {kept.title}: {kept.rows} rows; {columns}"
    )
    if kept.schema.task_line:
        _print(kept.schema.task_line)
    for column, reason in kept.schema.left_out.items():
        _print(f"column {column} is left out: {reason}")


def _list(store: Any) -> None:  # noqa: ANN401 - imported late
    for kept in store.names():
        calibrated = "calibrated" if kept.calibration.exists() else "not calibrated"
        _print(
            f"{kept.title}  {kept.rows} rows  {len(kept.schema.columns)} columns  {calibrated}  "
            f"{kept.created}  {kept.source.get('path') or kept.source.get('url')}"
        )


def _settings(arguments: dict[str, Any], report: str | None) -> DriftSettings:
    fixed = {"log_url": "none", "artefact": ".", "output": report or ".", "max_rows": sys.maxsize}
    settings = read_settings(**{**arguments, **fixed})
    return settings if report else settings.model_copy(update={"html": "never"})


def _calibrated(reference: Reference, file: str | None) -> Reference:
    from testbed_drift.scoring.calibration import Calibration  # noqa: PLC0415 - as in __main__._build

    if file is None:
        return reference
    calibration = Calibration.load(Path(file))
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


def _warn(line: str) -> None:
    print(f"drift: {line}", file=sys.stderr)  # noqa: T201 - a command line speaks so


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command line's output
