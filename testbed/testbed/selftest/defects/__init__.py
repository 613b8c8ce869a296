"""All defects, by kind. A new check is added with the defect that it is for: one line below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.selftest.defects.drift import DRIFT
from testbed.selftest.defects.load import LOAD
from testbed.selftest.defects.log import LOG
from testbed.selftest.defects.notifications import NOTIFICATIONS
from testbed.selftest.defects.rules import RULES
from testbed.selftest.defects.scenarios import SCENARIOS
from testbed.selftest.defects.service import SERVICE
from testbed.selftest.defects.signals import SIGNALS
from testbed.selftest.defects.telemetry import TELEMETRY
from testbed.selftest.defects.values import VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.selftest.defect import Defect

DEFECTS: Final[Mapping[str, tuple[Defect, ...]]] = {
    "values": VALUES,
    "log": LOG,
    "telemetry": TELEMETRY,
    "notifications": NOTIFICATIONS,
    "rules": RULES,
    "drift": DRIFT,
    "load": LOAD,
    "signals": SIGNALS,
    "service": SERVICE,
    "scenarios": SCENARIOS,
}
"""Kind to its defects."""
