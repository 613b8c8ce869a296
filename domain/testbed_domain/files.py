"""Files that are whole under their final name, however their writer ends, and that end."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from io import BufferedReader
from pathlib import Path


def write_atomic(
    path: Path, content: str | bytes, *, mode: int = 0o644, make_folder: bool = True
) -> None:
    """Write ``content`` so that ``path`` holds either the old or the whole new content.

    Args:
        path: the file.
        content: text is written as UTF-8.
        mode: permissions of the file.
        make_folder: whether its folder is made where it is missing.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_regular(path: Path) -> BufferedReader:
    """Open a file that ends: not a pipe or a device, whose readers wait or fill the memory.

    Raises:
        OSError: it can't be opened, or is of another kind.
    """
    # Without O_NONBLOCK, opening a pipe would wait for its writer.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    kind = os.fstat(handle).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_regular(path: Path) -> bytes:
    """The content of a file that ends, see :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()
