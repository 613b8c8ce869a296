"""Files to which lines are appended, by several processes too: none may be torn or mixed."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import select
import stat
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# What a pipe takes in one piece, however many processes write to it.
PIECE: Final = select.PIPE_BUF


class LineFile(io.RawIOBase):
    """Writes whole lines, all that it is given or none.

    A write to a file may end early, on a full disk for example, and go on after another process's.
    So the file is locked meanwhile, and what was begun and can't be ended is cut off again. A pipe
    has no such lock; it gets pieces of whole lines that it takes undivided.

    Args:
        descriptor: opened for writing.
        own: whether it was opened for appending and is closed with this object.
    """

    def __init__(self, descriptor: int, *, own: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._own = own
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)

    @classmethod
    def append_to(cls, path: Path) -> Self:
        """Open a file, made where there is none, with its folder.

        Raises:
            OSError: it can't be opened.
        """
        return cls(opened(path), own=True)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer, as the base has it
        """Write lines, each with its end.

        Raises:
            OSError: they could not be written; a file holds none of them then.
        """
        if not self._regular:
            for piece in _pieces(bytes(data)):
                self._write_all(piece)
            return len(data)
        with self._locked():
            before = self.size
            try:
                self._write_all(data)
            except OSError:
                if self._own:
                    os.ftruncate(self._descriptor, before)
                raise
        return len(data)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._descriptor).st_size

    def sync(self) -> None:
        """Wait until the disk holds what was written."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the descriptor, where it is this object's own."""
        if self._own and not self.closed:
            os.close(self._descriptor)
        super().close()

    def _write_all(self, data: Any) -> None:  # noqa: ANN401 - any buffer
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def opened(path: Path) -> int:
    """A descriptor of a file for appending, made where there is none, with its folder.

    Raises:
        OSError: it can't be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)


def append_json(path: Path, *records: Mapping[str, Any], sync: bool = False) -> None:
    """Append one line for each record, all of them or none.

    Args:
        path: the file; it and its folder are made.
        records: what JSON can hold, without endless numbers.
        sync: wait until the disk holds them.

    Raises:
        OSError: they could not be written.
    """
    text = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    with LineFile.append_to(path) as file:
        file.write(text.encode())
        if sync:
            file.sync()


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many as fit into a piece; a line that is longer stands alone."""
    start = end = 0
    while end < len(data):
        following = data.find(b"\n", end) + 1 or len(data)
        if following - start > PIECE and end > start:
            yield data[start:end]
            start = end
        end = following
    if end > start:
        yield data[start:end]
