"""From OTLP in JSON, as the Collector's exporter posts it, to whole lines in a bounded file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from testbed_domain.linefile import LineFile, opened

from testbed_receiver.record import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Line: TypeAlias = dict[str, Any]

LIMIT: Final = 64 * 2**20
"""Bytes of one file at most: about 150,000 spans."""

KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES: Final = ("UNSET", "OK", "ERROR")
UNREADABLE: Final = (
    *(ValueError, TypeError, LookupError, AttributeError),
    *(ArithmeticError, RecursionError),  # numbers beyond all, lists in lists in lists
)
_NANO: Final = 1e-9


def spans(body: bytes, received_at: float) -> list[Line]:
    """The spans of an export, a line each.

    Args:
        body: OTLP in JSON.
        received_at: Unix time of arrival.

    Raises:
        PayloadError: the body is something else.
    """
    return _read(body, "resourceSpans", "scopeSpans", "spans", _span, received_at)


def log_records(body: bytes, received_at: float) -> list[Line]:
    """The log records of an export, a line each; arguments and errors as of :func:`spans`."""
    return _read(body, "resourceLogs", "scopeLogs", "logRecords", _record, received_at)


def _read(
    body: bytes,
    resources: str,
    scopes: str,
    items: str,
    line: Callable[[Line], Line],
    received_at: float,
) -> list[Line]:
    try:
        return list(_lines(json.loads(body), resources, scopes, items, line, received_at))
    except UNREADABLE as error:
        raise PayloadError(f"not an export of {items} as OTLP in JSON: {error!r}") from error


def _lines(
    export: Line,
    resources: str,
    scopes: str,
    items: str,
    line: Callable[[Line], Line],
    received_at: float,
) -> Iterator[Line]:
    for resource in export[resources]:
        about = _attributes((resource.get("resource") or {}).get("attributes"))
        for scope in resource.get(scopes) or ():
            shared = {
                "received_at": received_at,
                "service": about.get("service.name", ""),
                "instance": about.get("service.instance.id", ""),
                "scope": (scope.get("scope") or {}).get("name", ""),
            }
            for item in scope.get(items) or ():
                yield shared | line(item)


def _span(item: Line) -> Line:
    start, end = int(item["startTimeUnixNano"]), int(item["endTimeUnixNano"])
    return {
        "trace_id": item["traceId"],
        "span_id": item["spanId"],
        "parent_id": item.get("parentSpanId", ""),
        "name": item.get("name", ""),
        "kind": KINDS[item.get("kind", 0)],
        "start": start * _NANO,
        "duration": (end - start) * _NANO,
        "status": STATUSES[(item.get("status") or {}).get("code", 0)],
        "attributes": _attributes(item.get("attributes")),
    }


def _record(item: Line) -> Line:
    time = int(item.get("timeUnixNano") or item.get("observedTimeUnixNano") or 0)
    return {
        "trace_id": item.get("traceId", ""),
        "span_id": item.get("spanId", ""),
        "time": time * _NANO,
        "severity": item.get("severityNumber", 0),
        "severity_text": item.get("severityText", ""),
        "body": _value(item.get("body") or {}),
        "attributes": _attributes(item.get("attributes")),
    }


def _attributes(pairs: list[Line] | None) -> Line:
    return {pair["key"]: _value(pair.get("value") or {}) for pair in pairs or ()}


def _value(value: Line) -> Any:  # noqa: ANN401 - whatever an attribute may be
    """A value of OTLP as JSON has it; numbers of 64 bits are texts there."""
    for kind, content in value.items():
        if kind == "intValue":
            return int(content)
        if kind == "arrayValue":
            return [_value(each) for each in content.get("values") or ()]
        if kind == "kvlistValue":
            return _attributes(content.get("values"))
        return content
    return None


class BoundedFile(LineFile):
    """Appends whole JSON lines to a file until it is full; what comes then is let go.

    The last line of a full file is ``{"full": true}``.

    Args:
        path: file to append to; its directory is made.
        limit: bytes at most.

    Raises:
        OSError: the file can't be opened.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        super().__init__(opened(path), own=True)
        self._limit = limit
        self._full = self.size >= limit

    def add(self, lines: list[Line]) -> None:
        """Append all of them or, if the disk refuses, none.

        Raises:
            OSError: nothing was written; the sender should try again.
        """
        if self._full or not lines:
            return
        data = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines).encode()
        full = self.size + len(data) > self._limit
        self.write(b'{"full":true}\n' if full else data)
        self._full = full
