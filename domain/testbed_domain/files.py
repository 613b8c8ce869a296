"""Files that are whole under their final name, however their writer ends, and that end."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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

    Raises:
        OSError: it can't be written; names a file, see :func:`naming`.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with naming(path), os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have a refusal name the file where the operating system does not, as where a disk is full.

    Raises:
        OSError: what is raised within, with ``filename`` set.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
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


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The content of a file that ends, see :func:`open_regular`.

    Args:
        path: the file.
        limit: bytes that it may hold; None for any number.

    Raises:
        OSError: as there, or it holds more.
    """
    with open_regular(path) as file:
        if limit is not None and os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"it holds over {limit:,} bytes", str(path))
        return file.read()


def refuse_other_than_folder(path: Path) -> None:
    """Let a folder pass that can be listed, or made because nothing stands in its way.

    Looking into what is no folder finds nothing, which is not the same as there being nothing.

    Args:
        path: the folder; it may be missing.

    Raises:
        OSError: it is of another kind, can't be listed, or can't be made below what is none; its
            ``filename`` is what stands in the way.
    """
    try:
        os.scandir(path).close()
    except FileNotFoundError:
        there = next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))
        if not there.is_dir():  # a link to nowhere, too
            kind = errno.ENOTDIR
            raise NotADirectoryError(kind, os.strerror(kind), str(there)) from None
