"""Progress of tool builds."""

from __future__ import annotations

import pytest
from testbed.console import BuildProgress


def test_changes_are_reported_at_once_and_the_rest_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A state is shown when it begins, then once per heartbeat, however often it is reported."""
    progress = BuildProgress(heartbeat=15)
    for second in range(32):
        progress("otelcol", "compiling", float(second))
    progress("otelcol", "built", 32.0)
    assert capsys.readouterr().err.splitlines() == [
        "tools: otelcol compiling",
        "tools: otelcol compiling (15 s)",
        "tools: otelcol compiling (30 s)",
        "tools: otelcol built (32 s)",
    ]
