"""Files that are whole under their final name, however their writer ends."""

from __future__ import annotations

import os
import tempfile
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
