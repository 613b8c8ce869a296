"""A bounded place on disk for rows that the prediction log can't take now.

A spool is a folder of segments, files that only grow. Each line is one row: the CRC-32 of its JSON
in eight hexadecimal digits, a blank, the JSON. A line cut off by a crash, or damaged on disk, fails
its checksum; all others stand. Rows are on disk when ``append`` returns. Before a segment goes, its
damaged lines are copied to a file beside it, which nothing here ever deletes.

A process holds an exclusive lock on each of its segments. A lock ends with its process, however
that ended, so a segment that can be locked has no owner and may be adopted by any replica.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed_domain.files import open_regular
from testbed_domain.logstore import PredictionRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# The version of the lines stands in the name: another one is not touched.
SUFFIX: Final = ".v1.spool"
# Lines of a segment that failed their checksum, as they were.
DAMAGED_SUFFIX: Final = ".v1.damaged"
CHECKSUM_LENGTH: Final = 8
# Longest line that can be a row, and so the most that is read at once: a crash can leave gigabytes
# of zeros. What is longer counts as several damaged lines.
MAX_LINE: Final = 16 * 2**20


class SpoolError(Exception):
    """Rows can't be put into the spool or taken from it: it is full, or its disk fails."""


def encode_row(row: PredictionRow) -> bytes:
    """One line of a segment."""
    text = json.dumps(row._asdict(), separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode_row(line: bytes) -> PredictionRow | None:
    """The row of a line; None where the line is cut off or damaged."""
    checksum, blank, text = (
        line[:CHECKSUM_LENGTH],
        line[CHECKSUM_LENGTH : CHECKSUM_LENGTH + 1],
        line[CHECKSUM_LENGTH + 1 : -1],
    )
    if blank != b" " or not line.endswith(b"\n") or b"%08x" % zlib.crc32(text) != checksum:
        return None
    try:
        return PredictionRow(**json.loads(text))
    except (ValueError, TypeError, RecursionError):  # whole, but not written by this program
        return None


@dataclass(slots=True, eq=False)
class Segment:
    """One file of a spool, locked by this process.

    Attributes:
        path: where it is.
        descriptor: the open file, which holds the lock.
        size: bytes of whole groups.
        rows: lines that were appended or read.
    """

    path: Path
    descriptor: int
    size: int = 0
    rows: int = 0

    def append(self, data: bytes, rows: int) -> None:
        """Append whole lines; on return they are on disk, all or none.

        Raises:
            OSError: they aren't.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self.descriptor, view) :]
            os.fdatasync(self.descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # what can't be cut off fails no checksum: see read
                os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(data)
        self.rows += rows

    def read(self, limit: int) -> Iterator[list[PredictionRow]]:
        """Its whole rows, in groups of at most ``limit``.

        Raises:
            SpoolError: the file can't be read.
        """
        group: list[PredictionRow] = []
        for line in self._lines():
            row = decode_row(line)
            if row is not None:
                group.append(row)
            if len(group) == limit:
                yield group
                group = []
        if group:
            yield group

    def damaged(self) -> int:
        """How many of its lines fail their checksum.

        Raises:
            SpoolError: the file can't be read.
        """
        return sum(1 for _ in self._damaged())

    def set_aside(self) -> int:
        """Copy its damaged lines to a file beside it, on disk on return; how many they are.

        Raises:
            SpoolError: they can't be copied; the segment must stay.
        """
        count = self.damaged()
        if not count:
            return 0
        aside = self.path.with_name(self.path.name.removesuffix(SUFFIX) + DAMAGED_SUFFIX)
        half = aside.with_suffix(".half")
        try:
            with half.open("wb") as file:
                for line in self._damaged():
                    # A last line that was cut off gets its end, so that lines can be counted.
                    file.write(line if line.endswith(b"\n") else line + b"\n")
                file.flush()
                os.fsync(file.fileno())
            half.rename(aside)
            _sync(aside.parent)
        except OSError as error:
            raise SpoolError(
                f"{count} damaged lines of the spool can't be copied to {aside}: {error.strerror}"
            ) from error
        return count

    def _lines(self) -> Iterator[bytes]:
        try:
            with open_regular(self.path) as file:
                while line := file.readline(MAX_LINE):
                    yield line
        except OSError as error:
            raise SpoolError(f"the spool's {self.path} can't be read: {error.strerror}") from error

    def _damaged(self) -> Iterator[bytes]:
        return (line for line in self._lines() if decode_row(line) is None)

    def remove(self) -> None:
        """Delete the file and let go of its lock."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Let go of the lock and leave the file to the process that adopts it."""
        os.close(self.descriptor)


class Spool:
    """The segments of this process, and the way to those that nobody owns any more.

    Safe to use from several threads.

    Args:
        folder: where the segments live; made where it is missing. Replicas may share it.
        limit: bytes that this process may hold at most.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._active: Segment | None = None
        self._closed: list[Segment] = []
        self._problems: dict[Path, str] = {}

    @property
    def problems(self) -> list[str]:
        """What the latest :meth:`take` could not adopt though nobody owns it, and why."""
        return [text for path, text in self._problems.items() if path.exists()]

    @property
    def rows(self) -> int:
        """Rows of this process that wait."""
        with self._lock:
            return sum(segment.rows for segment in self._segments())

    def waits(self) -> bool:
        """Whether rows of this or of any other process wait in the folder."""
        return any(True for _ in self._folder.glob(f"*{SUFFIX}"))

    def damaged_lines(self) -> int:
        """Damaged lines of the folder that were set aside and that nobody has taken away yet."""
        count = 0
        for path in self._folder.glob(f"*{DAMAGED_SUFFIX}"):
            try:
                with path.open("rb") as file:
                    count += sum(1 for _ in file)
            except OSError:
                count += 1  # not to be read: at least one
        return count

    def append(self, rows: Sequence[PredictionRow]) -> None:
        """Append rows; on return they are on disk, all or none.

        Raises:
            SpoolError: they aren't.
        """
        data = b"".join(map(encode_row, rows))
        with self._lock:
            if sum(segment.size for segment in self._segments()) + len(data) > self._limit:
                raise SpoolError(f"the spool {self._folder} is full ({self._limit} bytes)")
            try:
                if self._active is None:
                    self._active = self._new_segment()
                self._active.append(data, len(rows))
            except OSError as error:
                raise SpoolError(f"the spool {self._folder} fails: {error.strerror}") from error

    def take(self) -> list[Segment]:
        """The segments to write to the log now, adopted ones too; new rows go to another one.

        They stay until :meth:`done`. While there are some, no more are closed: an outage makes
        few files, however long it lasts.
        """
        with self._lock:
            if self._active is not None and self._active.size and not self._closed:
                self._closed.append(self._active)
                self._active = None
            self._closed += self._adopted()
            return list(self._closed)

    def done(self, segment: Segment) -> None:
        """All rows of a segment are in the log: forget it."""
        with self._lock:
            self._closed.remove(segment)
        segment.remove()

    def close(self) -> None:
        """Let go of all segments; rows that wait are adopted by the next process."""
        with self._lock:
            for segment in self._segments():
                segment.release() if segment.size else segment.remove()
            self._active, self._closed = None, []

    def _segments(self) -> list[Segment]:
        return [*self._closed, *([self._active] if self._active is not None else [])]

    def _new_segment(self) -> Segment:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Under its name only when it is locked, so that nobody can adopt it in between.
        path = self._folder / f"{uuid.uuid4().hex}{SUFFIX}"
        hidden = path.with_suffix(".new")
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
            _sync(self._folder)
        except OSError:
            os.close(descriptor)
            hidden.unlink(missing_ok=True)
            raise
        return Segment(path, descriptor)

    def _adopted(self) -> Iterator[Segment]:
        mine = {segment.path for segment in self._segments()}
        problems = {}
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path not in mine:
                try:
                    yield _adopt(path)
                except (BlockingIOError, FileNotFoundError):
                    pass  # its owner lives, or has removed it by now
                except OSError as error:
                    problems[path] = f"the spool's {path} can't be opened: {error.strerror}"
                except SpoolError as error:
                    problems[path] = str(error)
        self._problems = problems


def _adopt(path: Path) -> Segment:
    """A segment that nobody owns, with a lock on it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segment = Segment(path, descriptor, os.fstat(descriptor).st_size)
        segment.rows = sum(len(group) for group in segment.read(1_000))
    except BaseException:
        os.close(descriptor)
        raise
    return segment


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
