"""Headers that every request has."""

from __future__ import annotations

from pathlib import Path

from testbed_load.errors import LoadError

KEY_HEADER = "X-API-Key"


def read_headers(key_file: str | None) -> dict[str, str]:
    """Content type, and the API key of a file.

    Args:
        key_file: holds a key and nothing else; None or empty: the service demands none.

    Raises:
        LoadError: it can't be read, or what it holds can't be a key.
    """
    headers = {"Content-Type": "application/json"}
    if not key_file:
        return headers
    try:
        key = Path(key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise LoadError(f"the file of the API key, {key_file}, can't be read: {reason}") from None
    if not (key.isascii() and key.isprintable() and key) or " " in key:
        raise LoadError(f"{key_file} must hold one API key and nothing else")
    return headers | {KEY_HEADER: key}
