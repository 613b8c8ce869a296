"""Runs one of the tools to its end, for what it says."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TIMEOUT = 120.0


def ask_tool(command: Iterable[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command without colours; its exit code is the caller's matter.

    Raises:
        OSError: it can't be run.
        subprocess.TimeoutExpired: it takes longer than two minutes.
    """
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        env=os.environ | {"NO_COLOR": "1"},
    )
