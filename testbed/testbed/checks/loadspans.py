"""Spans of the load itself: each that is due arrived, and those of the API begin in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.facts.loadspans import MISSING, ORPHAN, TWICE, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.facts.findings import StoredFinding
    from testbed.facts.loadspans import LoadSpans
    from testbed.facts.signals import Arrival

NAME: Final = "spans of the load"

_TEXTS: Final[Mapping[str, str]] = {
    MISSING: "{} requests whose trace is stored have no span of the load",
    TWICE: "{} requests have more than one span of the load",
    UNKNOWN: "{} spans of the load are of no request whose trace is stored",
    ORPHAN: "{} spans of the API don't begin in the load's span of their request",
}


def check_load_spans(found: LoadSpans, arrival: Arrival, lost: int | None) -> CheckResult:
    """Hold the spans of the load against its truth.

    Args:
        found: what arrived.
        arrival: of all spans.
        lost: the most that the way may have lost; None where nobody knows.
    """
    if arrival.full:
        reason = "traces.jsonl is full, so that spans could not be counted"
        return not_applicable(NAME, Stage.LOAD, reason)
    wrong = [_say(each) for each in found.findings if not _explained(each, arrival, lost)]
    if wrong:
        return CheckResult(
            name=NAME, passed=False, stage=Stage.LOAD, summary=wrong[0], details=tuple(wrong[1:])
        )
    if not found.due:
        reason = "The load sent no request whose trace is stored"
        return not_applicable(NAME, Stage.LOAD, reason)
    return CheckResult(
        name=NAME,
        passed=True,
        stage=Stage.LOAD,
        summary=f"{found.arrived} spans of the load for {found.due} requests whose traces are "
        f"stored; {found.parents} spans of the API begin in them",
    )


def _explained(finding: StoredFinding, arrival: Arrival, lost: int | None) -> bool:
    """Whether what was lost on the way, or sent twice there, explains it."""
    if finding.kind == TWICE:
        return finding.count <= arrival.failed
    if finding.kind in {MISSING, ORPHAN}:
        return lost is None or finding.count <= lost
    return False


def _say(finding: StoredFinding) -> str:
    return f"{_TEXTS[finding.kind].format(finding.count)}, as {finding.examples[0]}"
