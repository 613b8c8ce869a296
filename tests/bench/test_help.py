"""Processor time of the list of commands, which whoever types waits for.

Run it with ``pytest tests/bench/test_help.py --benchmark-enable``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

CALLS: Final = 10
MAX_SECONDS: Final = 0.4


def test_help_takes_little_of_the_processor(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
) -> None:
    """Of user and system time; how long it takes depends on what else the machine does."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    command = (Path(sys.executable).parent / "testbed", "--help")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # compiles the bytecode
    before = os.times()
    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), rounds=CALLS
    )
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    assert spent / CALLS <= MAX_SECONDS
