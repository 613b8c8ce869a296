"""Lines of a run's files, of which only those are shown that are what they should be."""

from __future__ import annotations

import math
import os
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.files import open_regular
from testbed_domain.jsonlines import parse_line

from testbed.tail import JsonLinesTail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Shape = Mapping[str, type | tuple[type, ...]]

SEARCHED: Final = 16 << 20
"""Bytes of a file that a page is made of: some 40,000 spans, a second of the processor."""
NUMBER: Final = (int, float)
EVENT: Final[Shape] = {"event": str, "name": str, "time": NUMBER}
NOTICE: Final[Shape] = {
    "received_at": NUMBER,
    "status": str,
    "alertname": str,
    "labels": dict,
    "annotations": dict,
    "starts_at": NUMBER,
    "ends_at": (*NUMBER, NoneType),
    "receiver": str,
    "fingerprint": str,
}
MESSAGE: Final[Shape] = {
    "received_at": NUMBER,
    "status": str,
    "receiver": str,
    "integration": str,
    "text": str,
}
SPAN: Final[Shape] = {
    "trace_id": str,
    "span_id": str,
    "parent_id": str,
    "name": str,
    "kind": str,
    "service": str,
    "start": NUMBER,
    "duration": NUMBER,
    "status": str,
    "attributes": dict,
}
RECORD: Final[Shape] = {
    "time": NUMBER,
    "severity": int,
    "severity_text": str,
    "service": str,
    "trace_id": str,
    "attributes": dict,
}


def fits(line: object, shape: Shape) -> bool:
    """Whether a line has the fields of its kind; numbers must be finite."""
    return isinstance(line, dict) and all(
        isinstance(value := line.get(name), kinds)
        and not (isinstance(value, float) and not math.isfinite(value))
        for name, kinds in shape.items()
    )


class FittingTail:
    """Gives the lines that were appended since the last call.

    Args:
        path: the file; it may appear later, and vanish.
        shape: fields of its lines.
    """

    def __init__(self, path: Path, shape: Shape) -> None:
        self._tail = JsonLinesTail(path)
        self._shape = shape
        self.damaged = 0
        """How many lines were something else."""

    def read(self) -> list[dict[str, Any]]:
        """New whole lines, parsed."""
        try:
            lines = self._tail.read_raw()
        except OSError:  # nothing that can be read any more
            return []
        found = [line for line in map(_parsed, lines) if fits(line, self._shape)]
        self.damaged += len(lines) - len(found)
        return found


class FittingLines:
    """Reads a file that another process appends to, from its beginning; it may be missing.

    Args:
        path: the file.
        key: a field that only lines of this kind have; others are no damage.
        shape: their fields.
        holding: a text that wanted lines hold. They are looked for in the whole file; without it
            the last :data:`SEARCHED` bytes are read.
    """

    def __init__(self, path: Path, key: str, shape: Shape, holding: str = "") -> None:
        self._path = path
        self._key = key
        self._shape = shape
        self._holding = holding.encode(errors="replace")
        self.skipped = 0
        """Bytes at the file's beginning that were not read."""
        self.damaged = 0
        """How many lines of what was read last were something else."""

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Whole lines."""
        self.damaged = self.skipped = 0
        try:
            with open_regular(self._path) as file:
                if not self._holding:
                    self.skipped = max(0, file.seek(0, os.SEEK_END) - SEARCHED)
                    file.seek(max(0, self.skipped - 1))
                    if self.skipped:
                        file.readline()  # the rest of a line, or the end of the one before
                for line in file:
                    if not line.endswith(b"\n") or self._holding not in line:
                        continue
                    found = _parsed(line)
                    if fits(found, self._shape):
                        yield found
                    elif not isinstance(found, dict) or self._key in found:
                        self.damaged += 1
        except OSError:
            return


def _parsed(line: bytes) -> Any:  # noqa: ANN401 - whatever it holds
    try:
        return parse_line(line)
    except (ValueError, RecursionError):
        return None
