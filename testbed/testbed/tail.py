"""Reads JSON Lines while another process appends to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testbed_domain.files import open_regular


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
        return [json.loads(line) for line in self.read_raw()]

    def read_raw(self) -> list[bytes]:
        """New whole lines that are not empty."""
        try:
            with open_regular(self._path) as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole, separator, _ = data.rpartition(b"\n")
        self._offset += len(whole) + len(separator)
        return [line for line in whole.split(b"\n") if line.strip()]
