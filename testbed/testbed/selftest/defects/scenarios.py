"""What a scenario says of its faults and asserts, where it does not come about."""

from __future__ import annotations

from typing import Final

from testbed.checks.stages import Stage
from testbed.planting import RUNNER
from testbed.selftest.defects.patched import patched

_api = patched("api", "asserted", "quick-asserted", Stage.SERVICE)
_drift = patched("drift", "drift", "quick-asserted-drift", Stage.DRIFT_JOB)
_receiver = patched("receiver", "receiver", "quick-order", Stage.RECEIVER)
_runner = patched(RUNNER, "faults", "quick-network", Stage.SERVICE)

SCENARIOS: Final = (
    _runner("undisturbed", "A network fault is begun, and the proxy disturbs nothing."),
    _api("slow", "Every prediction takes 20 ms longer than is asserted."),
    _api("inference", "Every inference takes 10 ms, which its histogram says and a query asserts."),
    _api("unavailable", "One prediction in fifty fails, more than the objective permits."),
    _api("traceback", "The API prints a traceback, which is asserted not to be.", Stage.EVIDENCE),
    _api("path_hidden", "Spans no longer say which path was asked for.", Stage.EXPORT,
         scenario="quick-traced", check="assertion path in spans"),
    _drift("alert_limit_high", "The drift job is set to a limit that nothing reaches.",
           check="assertion shift noticed"),
    _receiver("critical_late", "Critical alerts reach people 20 s late, after less urgent ones.",
              check="assertion cause first"),
    _api("busy", "The API computes for 3.5 s, which is no wait for a processor.",
         scenario="quick"),
)  # fmt: skip
