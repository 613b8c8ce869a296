"""A service of one's own: what it counts of its requests is what the load sent and saw."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from testbed.checks.counts import HOPS, hop_result, make_hop
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, Reason, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.counts import Cause
    from testbed.checks.results import Hop
    from testbed.facts.servicecounts import Counted, SeriesCount

REQUESTS: Final = "service requests"
ERRORS: Final = "service errors"
LATENCY: Final = "service latency"
ANSWERS: Final = "service answers"
REDIRECTED: Final = 300
BAD_REQUEST: Final = 400
TOO_MANY: Final = 429
"""Says nothing of the request: a service that limits rates refuses right ones by it."""
SERVER_ERROR: Final = 500
NAMES: Final[dict[Counted, str]] = {"requests": REQUESTS, "errors": ERRORS, "latency": LATENCY}
UNKNOWN: Final = 30.0
"""Production seconds before an end of the service of which no scrape may know: two intervals."""


def service_hops(case: Case) -> tuple[Hop, ...]:
    """The loss table of a service: its requests, as far as its file says what counts them."""
    count = _count(case, "requests")
    if count is None:
        return ()
    counted = count.stored if count.counted is None else count.counted
    sent = len(case.evidence.truth.requests)
    found = [make_hop("load_service", HOPS["load_service"], (sent, counted), *_unseen(case))]
    if count.counted is not None:
        amounts = (count.counted, count.stored)
        lost = [(Reason.TELEMETRY_LOST, case.scenario.limits.lost_requests)]
        hop = make_hop("service_prometheus", HOPS["service_prometheus"], amounts, (), lost)
        found.append(hop)
    return tuple(found)


@CHECKS.register
def check_service(case: Case) -> tuple[CheckResult, ...]:
    """A service's own counters of requests, errors and latency, held against the load.

    A series that is not there counts 0: many begin with their first event.
    """
    service = case.evidence.run.service
    if service is None or case.evidence.snapshot.service is None:
        return ()
    results = [hop_result(case, hop) for hop in service_hops(case)]
    results += _answers(case)
    for what, name in NAMES.items():
        count = _count(case, what)
        if count is None:
            reason = f"the file of the service {service} names no series for it (counts: {what})"
            results.append(not_applicable(name, Stage.INSTRUMENT, reason))
        elif what != "requests":
            results.append(_held(case, name, count))
        elif not count.series:
            results.append(_absent(name, count))
    return tuple(results)


def _answers(case: Case) -> tuple[CheckResult, ...]:
    """Most requests are not refused; where it predicts, one that succeeds holds a prediction."""
    requests = case.evidence.truth.requests
    refused = Counter(
        request.status
        for request in requests
        if request.status is not None
        and BAD_REQUEST <= request.status < SERVER_ERROR
        and request.status != TOO_MANY
    )
    if 2 * refused.total() > len(requests):
        status, _ = refused.most_common(1)[0]
        summary = f"the service refused {refused.total()} of {len(requests)} requests, mostly with "
        summary += f"{status}: see request in its file"
        return (CheckResult(name=ANSWERS, passed=False, stage=Stage.SERVICE, summary=summary),)
    if not predicts(case):
        return ()
    empty = sum(
        request.status is not None and request.status < REDIRECTED and request.prediction_id is None
        for request in requests
    )
    summary = f"{empty} answers with 2xx hold no prediction: see reply in the service's file"
    fine = "every answer with 2xx holds a prediction"
    return (
        CheckResult(
            name=ANSWERS,
            passed=not empty,
            stage=Stage.SERVICE,
            summary=summary if empty else fine,
        ),
    )


def predicts(case: Case) -> bool:
    """Whether any answer was read as a prediction."""
    return any(request.prediction_id is not None for request in case.evidence.truth.requests)


def lost_by_service(case: Case) -> int:
    """Requests that the service counted and Prometheus lacks."""
    count = _count(case, "requests")
    return 0 if count is None or count.counted is None else max(0, count.counted - count.stored)


def _count(case: Case, what: Counted) -> SeriesCount | None:
    found = case.evidence.snapshot.service
    return next((each for each in found.counts if each.what == what), None) if found else None


def _unseen(case: Case) -> tuple[list[Cause], list[Cause]]:
    """Requests that the service need not have counted: surely, and possibly."""
    requests = case.evidence.truth.requests
    errors = [request.error for request in requests]
    certain = [(Reason.NO_ANSWER_CONNECTION, errors.count("connection"))]
    possible = [
        (Reason.NO_ANSWER_TIMEOUT, errors.count("timeout")),
        (Reason.NO_ANSWER_RESET, errors.count("reset")),
        (Reason.REPLICA_CRASHED, _before_ends(case)),
    ]
    return certain, possible


def _before_ends(case: Case) -> int:
    """Requests answered shortly before the service ended, which no scrape may know."""
    span, service = case.real(UNKNOWN), case.evidence.run.service
    ends = [
        event.time
        for event in case.evidence.timeline
        if event.name == service and event.event in {"component_stopped", "component_crashed"}
    ]
    return sum(
        any(end - span <= request.finished_at <= end for end in ends)
        for request in case.evidence.truth.requests
    )


def _absent(name: str, count: SeriesCount) -> CheckResult:
    summary = f"Prometheus has no series {count.selector}: see counts in the service's file"
    return CheckResult(name=name, passed=False, stage=Stage.INSTRUMENT, summary=summary)


def _held(case: Case, name: str, count: SeriesCount) -> CheckResult:
    """Errors and observations are as many as the load saw."""
    requests = case.evidence.truth.requests
    if count.what == "errors":
        seen = sum(request.status is not None and request.failed for request in requests)
        what = "answers with 5xx"
    else:
        seen, what = sum(request.status is not None for request in requests), "answers"
    spare = sum(request.status is None for request in requests) + _before_ends(case)
    counted = count.stored if count.counted is None else count.counted
    fine = seen - _before_ends(case) <= counted <= seen + spare
    summary = f"{count.selector} counted {counted}, the load saw {seen} {what}"
    return CheckResult(name=name, passed=fine, stage=Stage.INSTRUMENT, summary=summary)
