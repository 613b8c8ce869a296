"""Tokens in files: made once, readable by their owner only, never shown."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

from testbed_domain.errors import DomainError

BYTES: Final = 32
SHORTEST, LONGEST = 16, 1024  # characters
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class TokenError(DomainError):
    """A token's file that can't be used. One line that says what to do; never the token."""


def read_token(path: Path) -> str:
    """The token of a file.

    Args:
        path: holds one line; of our own, it must be readable by its owner only. A secret that
            another user's program mounts has the mode that this one gives it.

    Raises:
        TokenError: it can't be read, others may read it, or it holds no token.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read(LONGEST + 2).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise TokenError(f"the token's file {path} can't be read: {reason}") from None
    if found.st_uid == os.geteuid() and found.st_mode & OTHERS and not _read_only(path):
        raise TokenError(f"the token's file {path} is open to other users: chmod 600 {path}")
    if not SHORTEST <= len(text) <= LONGEST or not text.isprintable() or " " in text:
        raise TokenError(
            f"the token's file {path} must hold one token of {SHORTEST} to {LONGEST} printable "
            "characters: remove it, and the next start makes another one"
        )
    return text


def ensure_token(path: Path) -> str:
    """The token of a file, which is made with a random one where it is missing.

    Several processes may do so at once: all get the same token.

    Raises:
        TokenError: as :func:`read_token`; or the file can't be made.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
    except OSError as error:
        raise TokenError(f"the token's file {path} can't be made: {error.strerror}") from None
    return read_token(path)


def _make(path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its token counts
            os.link(name, path)  # and not moved there, which would replace the other one
    finally:
        Path(name).unlink(missing_ok=True)


def _read_only(path: Path) -> bool:
    """Whether it stands on a file system that nobody here can write, as mounted secrets do."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
