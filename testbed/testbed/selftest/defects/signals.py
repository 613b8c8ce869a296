"""What is wrong with spans and dashboards."""

from __future__ import annotations

from typing import Final

from testbed.checks.stages import Stage
from testbed.selftest.defects.patched import patched

_make = patched("api", "signals", "quick", Stage.INSTRUMENT)

SIGNALS: Final = (
    _make("nothing_sampled", "No request is sampled, whatever the ratio says."),
    _make("names_wrong", "Spans bear the path in place of method and route."),
    _make("durations_zero", "Spans end when they began."),
    _make("status_never_error", "Spans of failed requests bear no error.", scenario="quick-errors"),
)
