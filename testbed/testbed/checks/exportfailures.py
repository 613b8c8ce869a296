"""Exports of metrics that failed though nothing in the scenario makes them fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.rhythm import intended
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case

NAME: Final = "export failures"
MIN: Final = 2
"""Failed exports of a process that nobody is blamed for: a busy machine's time-outs."""

RATIO: Final = 0.05
"""The same as a share of its exports."""


@CHECKS.register
def check_export_failures(case: Case) -> tuple[CheckResult, ...]:
    """No process had more than a few failed exports.

    The loss table explains what such exports held; why they failed is another question. A Collector
    that answered its scrapes all the while refused them itself.
    """
    pipeline = case.evidence.snapshot.pipeline
    if pipeline is None or "collector" in case.evidence.run.without:
        return ()
    if intended(case, "collector", "exports"):
        reason = "the scenario stops the Collector or shuts it off: exports are meant to fail"
        return (not_applicable(NAME, Stage.COLLECTOR, reason),)
    begun = {each.instance: each.exports[-1].exports for each in pipeline.processes if each.exports}
    failed = {
        each.instance: each.failures
        for each in pipeline.processes
        if each.failures > max(MIN, RATIO * begun.get(each.instance, 0))
    }
    refused = bool(pipeline.readings) and not pipeline.down
    if not failed:
        text = "exports of metrics arrived, but for a few at most"
    elif refused:
        text = f"the Collector refused exports of {len(failed)} processes, though it was up"
    else:
        text = f"exports of {len(failed)} processes failed: the Collector could not be reached"
    details = tuple(
        f"{name}: {count} of {begun.get(name, count)} exports failed"
        for name, count in sorted(failed.items())
    )
    return (
        CheckResult(
            name=NAME, passed=not failed, stage=Stage.COLLECTOR, summary=text, details=details
        ),
    )
