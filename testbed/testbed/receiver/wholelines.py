"""A file to which whole lines are appended, or none."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class WholeLines:
    """Appends to a file; also a context manager that closes it.

    Args:
        path: file to append to; its directory is made.

    Raises:
        OSError: the file can't be opened.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = io.FileIO(path, "ab")

    def size(self) -> int:
        """Bytes in the file."""
        return self._file.seek(0, os.SEEK_END)

    def append(self, data: bytes) -> None:
        """Append all of the data or, if the disk refuses, none.

        Raises:
            OSError: nothing was written; the sender should try again.
        """
        before = self.size()
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError:
            self._file.truncate(before)
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
