"""Reads JSON Lines while another process appends to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class JsonLinesTail:
    """Gives the lines that were appended since the last call; a half-written line waits.

    Args:
        path: the file; it may appear later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        """New whole lines, parsed."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole, separator, _ = data.rpartition(b"\n")
        self._offset += len(whole) + len(separator)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]
