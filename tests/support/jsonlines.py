"""Files of JSON lines that another process may be writing to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole by now; none where the file isn't there yet."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
