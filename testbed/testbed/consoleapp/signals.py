"""Spans, log records and logs of components, from the run's files."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed.consoleapp.lines import RECORD, SPAN, FittingLines
from testbed.stack.process import read_tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.layout import RunLayout

RECORDS: Final = 300
"""Log records, or lines of a log, that are shown at most."""
SEVERITIES: Final = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
"""Least severity number of each name, as OpenTelemetry has it."""
TRACED: Final = "trace_id"


@dataclass(frozen=True, slots=True)
class RecordSearch:
    """Which log records are wanted.

    Attributes:
        text: of the body; empty takes all.
        service: of the record; empty takes all.
        severity: key of :data:`SEVERITIES` from which on; empty takes all.
        trace: id of a trace; empty takes all.
    """

    text: str = ""
    service: str = ""
    severity: str = ""
    trace: str = ""


def read_spans(layout: RunLayout, trace: str = "") -> FittingLines:
    """Spans of the run, the latest; those that name a trace, of all."""
    return FittingLines(layout.traces, TRACED, SPAN, trace)


def read_records(layout: RunLayout) -> FittingLines:
    """Log records of the run, the latest."""
    return FittingLines(layout.log_records, "body", RECORD)


def find_records(
    records: Iterable[Mapping[str, Any]], search: RecordSearch
) -> tuple[list[Mapping[str, Any]], int]:
    """The latest log records that are wanted, the latest first, and how many there are."""
    found: deque[Mapping[str, Any]] = deque(maxlen=RECORDS)
    total = 0
    for record in records:
        if _wanted(record, search):
            found.append(record)
            total += 1
    return list(reversed(found)), total


def component_log(layout: RunLayout, component: str) -> str | None:
    """The end of a component's log; None where there is no such log."""
    if component not in component_logs(layout):
        return None
    return read_tail(layout.logs / f"{component}.log", RECORDS)


def component_logs(layout: RunLayout) -> list[str]:
    """Components that have a log."""
    return sorted(path.stem for path in layout.logs.glob("*.log"))


def _wanted(record: Mapping[str, Any], search: RecordSearch) -> bool:
    return (
        record["severity"] >= SEVERITIES.get(search.severity, 0)
        and search.service in {"", record["service"]}
        and search.trace in {"", record[TRACED]}
        and search.text.strip().lower() in str(record.get("body")).lower()
    )
