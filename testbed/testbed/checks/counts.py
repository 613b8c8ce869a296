"""Counts: what the load sent is found again at every hop, and each difference has a reason."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.checks.crashes import maybe_taken_along, taken_along
from testbed.checks.crashes import total as _total
from testbed.checks.instances import request_count, why_lost
from testbed.checks.registry import CHECKS
from testbed.checks.results import (
    REASON_TEXTS,
    CheckResult,
    Explanation,
    Hop,
    Reason,
)
from testbed.checks.rows import FAILED, REJECTED, of_many, rows_of_many, status_of
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.case import Case
    from testbed.facts.finalcounts import Count
    from testbed.facts.logcounts import Ids

ROUTE = names.label(names.HTTP_ROUTE)
ERROR_TYPE = names.label(names.ERROR_TYPE)
OUTCOME = names.label(names.OUTCOME)
SERVER_ERROR, CLIENT_ERROR, SUCCESS = 500, 400, 200
NO_ANSWER = {"connection": Reason.NO_ANSWER_CONNECTION, "reset": Reason.NO_ANSWER_RESET}
Cause = tuple[Reason, int]
# Key of a hop to what is counted, where it starts and where it ends.
HOPS = {
    "load_api": ("Predictions", "load", "API"),
    "api_prometheus": ("Predictions", "API", "Prometheus"),
    "api_log": ("Predictions", "API", "prediction log"),
    "log_counter": ("Rows", "log counter", "prediction log"),
    "labels_api": ("Labels", "load", "API"),
    "labels_log": ("Labels", "API", "prediction log"),
    "load_service": ("Requests", "load", "service"),
    "service_prometheus": ("Requests", "service", "Prometheus"),
}

# Key of a hop to the link that is broken where it has a residual.
STAGES = {
    "load_api": Stage.INSTRUMENT,
    "api_prometheus": Stage.PROMETHEUS,
    "api_log": Stage.LOG,
    "log_counter": Stage.LOG,
    "labels_api": Stage.INSTRUMENT,
    "labels_log": Stage.LOG,
    "load_service": Stage.INSTRUMENT,
    "service_prometheus": Stage.PROMETHEUS,
    "points_collector": Stage.EXPORT,
    "points_prometheus": Stage.COLLECTOR,
    "exports_prometheus": Stage.PROMETHEUS,
    "spans_collector": Stage.EXPORT,
    "spans_viewer": Stage.COLLECTOR,
}

# What the API counted stands at the end of one hop and at the start of another: where both are
# broken, the count is wrong, not what it is held against.
BEFORE = {"api_log": "load_api", "labels_log": "labels_api"}


def account(
    difference: int, certain: Iterable[Cause], possible: Iterable[Cause] = ()
) -> tuple[tuple[Explanation, ...], int]:
    """Explain a difference.

    Args:
        difference: sent minus arrived.
        certain: reasons that took exactly so many.
        possible: reasons that may have taken up to so many, in order.

    Returns:
        The explanations, and the residual that none of them covers (negative: too many arrived).
    """
    explanations = [Explanation(reason=reason, count=n) for reason, n in certain if n]
    rest = difference - sum(item.count for item in explanations)
    for reason, maximum in possible:
        taken = min(max(rest, 0), maximum)
        if taken:
            explanations.append(Explanation(reason=reason, count=taken, certain=False))
            rest -= taken
    return tuple(explanations), rest


def make_hop(
    key: str,
    way: tuple[str, str, str],
    amounts: tuple[int, int],
    certain: Iterable[Cause] = (),
    possible: Iterable[Cause] = (),
) -> Hop:
    """One step of the way, its difference explained as :func:`account` does.

    Args:
        key: of the hop.
        way: what is counted, where it starts and where it ends.
        amounts: sent and arrived.
        certain: reasons that took exactly so many.
        possible: reasons that may have taken up to so many, in order.
    """
    what, source, target = way
    sent, arrived = amounts
    explained, residual = account(sent - arrived, certain, possible)
    return Hop(
        key=key,
        title=f"{what}: {source} \u2192 {target}",
        source=source,
        target=target,
        sent=sent,
        arrived=arrived,
        explained=explained,
        residual=residual,
    )


def hops(case: Case) -> tuple[Hop, ...]:
    """The loss table of the bundled API: requests and labels, hop by hop."""
    if case.evidence.run.service is not None:
        return ()
    counted = _counted(case)
    rows = [_load_to_api(case, counted), _api_to_prometheus(case)]
    log = case.evidence.snapshot.log
    if log is not None:
        content = case.evidence.snapshot.logcontent
        late = content.late_rows if content else 0
        rows += [_api_to_log(case, counted, log.rows, late), _log_counter(counted, log.rows)]
    rows.append(_labels_to_api(case, counted))
    if log is not None:
        rows.append(_labels_to_log(counted, log.labels))
    return tuple(rows)


@CHECKS.register
def check_hops(case: Case) -> tuple[CheckResult, ...]:
    """Each hop's residual is 0."""
    found = hops(case)
    broken = {hop.key for hop in found if hop.residual}
    results = tuple(
        hop_result(case, hop, Stage.INSTRUMENT if BEFORE.get(hop.key) in broken else None)
        for hop in found
    )
    if case.evidence.snapshot.log is None:
        gone = CheckResult(
            name="counts api_log",
            passed=False,
            stage=Stage.LOG,
            summary="the prediction log could not be read",
        )
        return (*results, gone)
    return results


@CHECKS.register
def check_log_ids(case: Case) -> tuple[CheckResult, ...]:
    """Each answered prediction has its row, and each row its request."""
    log = case.evidence.snapshot.log
    if log is None:
        return ()
    # Rows that the API counts as lost: the loss table has them.
    lost = _lost_rows(_counted(case))
    details = [
        *(() if log.missing.count <= lost else _ids(log.missing, "answered, but not in the log")),
        *_ids(log.foreign, "in the log, but never sent by this run"),
        *_ids(log.duplicated, "requests with more than one row"),
    ]
    but = f", but for {log.missing.count} whose rows were counted as lost"
    fine = f"every id is found again{but if log.missing.count else ''}"
    summary = "ids of the log and of the load differ" if details else fine
    return (
        CheckResult(
            name="counts ids",
            passed=not details,
            stage=Stage.LOG,
            summary=summary,
            details=tuple(details),
        ),
    )


def _counted(case: Case) -> tuple[Count, ...]:
    """The API's final counters; Prometheus's for an instance that could not be asked.

    With what a crash took along, where the log shows it.
    """
    snapshot = case.evidence.snapshot
    known = tuple(
        count
        for instance, own in snapshot.api.items()
        for count in (snapshot.prometheus.get(instance, ()) if own is None else own)
    )
    return known + taken_along(case)


def _load_to_api(case: Case, counted: Sequence[Count]) -> Hop:
    requests = case.evidence.truth.all_requests
    silent = Counter(
        NO_ANSWER.get(r.error or "", Reason.NO_ANSWER_TIMEOUT) for r in requests if r.status is None
    )
    too_large = sum(r.status == 413 for r in requests)  # noqa: PLR2004 - the status itself
    connection = Reason.NO_ANSWER_CONNECTION
    possible: list[Cause] = [
        (Reason.NO_ANSWER_TIMEOUT, silent[Reason.NO_ANSWER_TIMEOUT]),
        (Reason.NO_ANSWER_RESET, silent[Reason.NO_ANSWER_RESET]),
        (Reason.REJECTED_413, too_large),  # where it is refused before it has a route
    ]
    if any(own is None for own in case.evidence.snapshot.api.values()):
        possible.append((Reason.REPLICA_CRASHED, maybe_taken_along(case)))
        possible.append((Reason.TELEMETRY_LOST, case.scenario.limits.lost_requests))
    certain = [(connection, silent[connection])]
    return _hop("load_api", len(requests), request_count(counted), certain, possible)


def _api_to_prometheus(case: Case) -> Hop:
    snapshot = case.evidence.snapshot
    stored = sum(request_count(snapshot.prometheus.get(instance, ())) for instance in snapshot.api)
    lost = [(Reason.TELEMETRY_LOST, case.scenario.limits.lost_requests)]
    crashed = [(Reason.REPLICA_CRASHED, request_count(taken_along(case)))]
    return _hop("api_prometheus", request_count(_counted(case)), stored, crashed, lost)


def _api_to_log(case: Case, counted: Sequence[Count], rows: int, late: int) -> Hop:
    certain: Counter[Reason] = Counter()
    broken: Counter[int] = Counter()
    for count in counted:
        if count.metric == HTTP_COUNT and count.labels[ROUTE] == PREDICT_ROUTE:
            status = status_of(count)
            if status >= SERVER_ERROR:
                broken[status] += count.value
            elif status >= CLIENT_ERROR:
                certain[REJECTED.get(status, Reason.REJECTED_OTHER)] += count.value
        elif count.metric == names.PREDICTION_ERRORS.prometheus:
            reason = FAILED.get(count.labels[ERROR_TYPE])
            if reason is not None:
                certain[reason] += count.value
    sent = request_count(counted)
    if of_many(counted):
        sent += rows_of_many(counted, certain, broken)
    nameless = broken.total() - sum(certain[reason] for reason in FAILED.values())
    shed = min(max(nameless, 0), broken[503])
    # Refused when its time was up, and written a moment later, as the log shows.
    certain[Reason.SHED_503] += max(0, shed - late)
    # A row that could not be confirmed may stand in the log all the same.
    unsure = certain.pop(Reason.LOG_FAILED, 0)
    # Answered, but with no room left for its row, or damaged where it waited: the API's setting
    # allowed that.
    unsure += _lost_rows(counted)
    # One that crashed may have left rows that another replica has written since.
    spooled = _total(counted, names.LOG_SPOOLED.prometheus)
    possible = [(Reason.LOG_FAILED, unsure), (Reason.LOG_SPOOLED, spooled)]
    # What a crash took along is found by rows without a count, and these may be such rows.
    possible.append((Reason.SHED_503, min(late, request_count(taken_along(case)))))
    return _hop("api_log", sent, rows, sorted(certain.items()), possible)


def _lost_rows(counted: Sequence[Count]) -> int:
    """Rows of answered predictions that the API could not keep, by its own counters."""
    lost = ("dropped", "damaged")
    return sum(_total(counted, names.LOG_ROWS.prometheus, {OUTCOME: how}) for how in lost)


def _log_counter(counted: Sequence[Count], rows: int) -> Hop:
    metric = names.LOG_ROWS.prometheus
    lost = ("failed", "dropped", "damaged")
    failed = sum(_total(counted, metric, {OUTCOME: how}) for how in lost)
    return _hop("log_counter", _total(counted, metric), rows, (), [(Reason.LOG_FAILED, failed)])


def _labels_to_api(case: Case, counted: Sequence[Count]) -> Hop:
    batches = case.evidence.truth.labels
    posted = sum(batch.count for batch in batches)
    refused: Counter[Reason] = Counter()
    silent = 0
    for batch in batches:
        if batch.status is None:
            silent += batch.count
        elif batch.status >= SERVER_ERROR:
            shed = batch.status == 503  # noqa: PLR2004 - the status itself
            refused[Reason.SHED_503 if shed else Reason.SERVER_ERROR] += batch.count
        elif batch.status >= CLIENT_ERROR:
            refused[REJECTED.get(batch.status, Reason.REJECTED_OTHER)] += batch.count
    # Refused when its time was up, and written and counted a moment later, as the log shows.
    content = case.evidence.snapshot.logcontent
    refused[Reason.SHED_503] -= min(refused[Reason.SHED_503], content.late_labels if content else 0)
    possible = [(Reason.NO_ANSWER_TIMEOUT, silent)]
    arrived = _total(counted, names.LABELS.prometheus)
    return _hop("labels_api", posted, arrived, sorted(refused.items()), possible)


def _labels_to_log(counted: Sequence[Count], rows: int) -> Hop:
    metric = names.LABELS.prometheus
    certain = [
        (Reason.LABEL_DUPLICATE, _total(counted, metric, {OUTCOME: "duplicate"})),
        (Reason.LABEL_UNKNOWN, _total(counted, metric, {OUTCOME: "unknown"})),
    ]
    return _hop("labels_log", _total(counted, metric), rows, certain)


def hop_result(case: Case, hop: Hop, stage: Stage | None = None) -> CheckResult:
    """What a hop of the loss table means for the verdict.

    Args:
        case: of the hop.
        hop: one row of the loss table.
        stage: the broken link, where it is not the hop's own.
    """
    reasons = tuple(
        f"{item.count} {item.reason}: {REASON_TEXTS[item.reason]}" for item in hop.explained
    )
    counts = f"{hop.source} {hop.sent}, {hop.target} {hop.arrived}"
    if not hop.residual:
        summary = f"{counts}: {'every difference has a reason' if reasons else 'equal'}"
    elif hop.residual < 0:
        summary = f"{counts}: {-hop.residual} too many in {hop.target}"
    else:
        summary = f"{counts}: {hop.residual} without a reason"
        if hop.key == "api_prometheus":
            summary = f"{counts}: {hop.residual} lost{why_lost(case)}"
    return CheckResult(
        name=f"counts {hop.key}",
        passed=not hop.residual,
        stage=stage or STAGES[hop.key],
        summary=summary,
        details=reasons,
    )


def _ids(ids: Ids, what: str) -> list[str]:
    if not ids.count:
        return []
    more = " …" if ids.count > len(ids.examples) else ""
    return [f"{ids.count} {what}: {', '.join(ids.examples)}{more}"]


def _hop(
    key: str,
    sent: int,
    arrived: int,
    certain: Iterable[Cause] = (),
    possible: Iterable[Cause] = (),
) -> Hop:
    return make_hop(key, HOPS[key], (sent, arrived), certain, possible)
