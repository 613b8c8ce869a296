"""The page that explains a verdict, read for what it explains."""

from __future__ import annotations

import re
from typing import Final

from tests.support.typedpage import DOCS

PAGE: Final = "how-to/read-a-verdict.md"


def unexplained(names: list[str]) -> list[str]:
    """Those of these names of checks that no row of the page's table is about."""
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    table = text.partition("\n## Checks\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    shown = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(shown) > 50, "the table is not found"
    # Words in capitals, and an ellipsis, stand for what differs from run to run.
    patterns = [re.sub(r"[A-Z]+\b|…", ".+", re.escape(name)) for name in shown]
    return [each for each in names if not any(re.fullmatch(one, each) for one in patterns)]
