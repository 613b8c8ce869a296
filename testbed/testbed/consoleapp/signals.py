"""Spans, log records and logs of components, from the run's files."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.jsonlines import parse_line

from testbed.stack.process import read_tail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

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


def read_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Whole lines with content of a file that another process appends to; none where it is not."""
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n") and (found := _parsed(line)):
                    yield found
    except FileNotFoundError:
        return


def read_spans(layout: RunLayout) -> Iterator[Mapping[str, Any]]:
    """Spans of the run."""
    return (line for line in read_lines(layout.traces) if TRACED in line)


def find_records(layout: RunLayout, search: RecordSearch) -> tuple[list[Mapping[str, Any]], int]:
    """The latest log records that are wanted, the latest first, and how many there are."""
    found: deque[Mapping[str, Any]] = deque(maxlen=RECORDS)
    total = 0
    for record in read_lines(layout.log_records):
        if "body" in record and _wanted(record, search):
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
        and search.text.strip().lower() in str(record["body"]).lower()
    )


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        found = parse_line(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
