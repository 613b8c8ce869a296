"""The checks of which a verdict is made; each is pure and evaluates one side of a case."""

from __future__ import annotations

from typing import Final

from testbed.checks.alerts import check_expected, check_unexpected
from testbed.checks.boards import check_boards
from testbed.checks.case import Case, Check
from testbed.checks.content import check_content
from testbed.checks.counts import check_hops, check_log_ids
from testbed.checks.drift import check_causes, check_decision, check_runs
from testbed.checks.exportfailures import check_export_failures
from testbed.checks.faults import check_faults
from testbed.checks.heartbeat import check_heartbeat
from testbed.checks.integrity import check_evidence, check_parts, check_replicas, check_truth
from testbed.checks.limits import check_limits
from testbed.checks.load import check_load
from testbed.checks.margins import check_margins
from testbed.checks.measured import check_measured
from testbed.checks.notifications import check_notifications
from testbed.checks.published import check_published
from testbed.checks.routing import check_routing
from testbed.checks.rulehealth import check_rulehealth
from testbed.checks.ruletests import check_ruletests
from testbed.checks.signals import check_signals
from testbed.checks.stored import check_instances
from testbed.checks.telemetry import check_telemetry

CHECKS: Final[tuple[Check, ...]] = (
    check_expected,
    check_unexpected,
    check_faults,
    check_hops,
    check_instances,
    check_log_ids,
    check_telemetry,
    check_export_failures,
    check_limits,
    check_decision,
    check_causes,
    check_runs,
    check_parts,
    check_replicas,
    check_truth,
    check_measured,
    check_content,
    check_load,
    check_notifications,
    check_routing,
    check_rulehealth,
    check_ruletests,
    check_heartbeat,
    check_margins,
    check_published,
    check_signals,
    check_boards,
    check_evidence,
)

__all__ = ["CHECKS", "Case", "Check"]
