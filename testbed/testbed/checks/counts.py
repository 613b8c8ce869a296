"""Counts: what the load sent is found again at every hop, and each difference has a reason."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.checks.crashes import maybe_taken_along, taken_along
from testbed.checks.crashes import total as _total
from testbed.checks.results import (
    REASON_TEXTS,
    CheckResult,
    Explanation,
    Hop,
    InstanceRow,
    Reason,
)
from testbed.checks.rows import FAILED, REJECTED, of_many, rows_of_many, status_of
from testbed.checks.stages import Stage
from testbed.snapshot import compared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.case import Case
    from testbed.snapshot import Count, Ids

ROUTE = names.label(names.HTTP_ROUTE)
STATUS = names.label(names.HTTP_STATUS)
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
}

# Key of a hop to the link that is broken where it has a residual.
STAGES = {
    "load_api": Stage.INSTRUMENT,
    "api_prometheus": Stage.PROMETHEUS,
    "api_log": Stage.LOG,
    "log_counter": Stage.LOG,
    "labels_api": Stage.INSTRUMENT,
    "labels_log": Stage.LOG,
    "points_collector": Stage.EXPORT,
    "points_prometheus": Stage.COLLECTOR,
    "exports_prometheus": Stage.PROMETHEUS,
    "spans_collector": Stage.EXPORT,
    "spans_viewer": Stage.COLLECTOR,
}


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
    for reason, most in possible:
        taken = min(max(rest, 0), most)
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
    """The loss table: requests and labels, hop by hop."""
    counted = _counted(case)
    rows = [_load_to_api(case, counted), _api_to_prometheus(case)]
    log = case.evidence.snapshot.log
    if log is not None:
        rows += [_api_to_log(counted, log.rows), _log_counter(counted, log.rows)]
    rows.append(_labels_to_api(case, counted))
    if log is not None:
        rows.append(_labels_to_log(counted, log.labels))
    return tuple(rows)


def instances(case: Case) -> tuple[InstanceRow, ...]:
    """Final counters of each API instance, its own against those in Prometheus."""
    snapshot = case.evidence.snapshot
    rows = []
    for instance in sorted({*snapshot.api, *snapshot.prometheus}):
        own, stored = snapshot.api.get(instance), snapshot.prometheus.get(instance, ())
        differences = () if own is None else _differences(own, stored)
        requests = None if own is None else _requests(own)
        held = _requests(stored)
        rows.append(
            InstanceRow(
                instance=instance,
                api=requests,
                prometheus=held,
                lost=0 if requests is None else max(0, requests - held),
                differences=differences,
            )
        )
    return tuple(rows)


def lost_requests(case: Case) -> int:
    """Predictions that were counted, or answered, and are missing in Prometheus."""
    lost = sum(row.lost for row in instances(case))
    if all(row.api is not None for row in instances(case)):
        return lost
    # An instance ended without being asked: what the load saw answered must be somewhere.
    answered = sum(request.status is not None for request in case.evidence.truth.requests)
    return max(lost, answered - sum(row.prometheus for row in instances(case)))


def check_hops(case: Case) -> tuple[CheckResult, ...]:
    """Each hop's residual is 0."""
    results = tuple(hop_result(case, hop) for hop in hops(case))
    if case.evidence.snapshot.log is None:
        gone = CheckResult(
            name="counts api_log",
            passed=False,
            stage=Stage.LOG,
            summary="the prediction log could not be read",
        )
        return (*results, gone)
    return results


def check_statuses(case: Case) -> tuple[CheckResult, ...]:
    """The API counted every answer under the status that the load saw."""
    if any(own is None for own in case.evidence.snapshot.api.values()):
        return ()
    seen = Counter(r.status for r in case.evidence.truth.requests if r.status is not None)
    counted: Counter[int] = Counter()
    for count in _counted(case):
        if count.metric == HTTP_COUNT and count.labels[ROUTE] == PREDICT_ROUTE:
            counted[status_of(count)] += count.value
    # A 413 may be refused before the request has a route; unanswered ones may add to any status.
    wrong = tuple(
        f"status {status}: the load saw {n}, the API counted {counted[status]}"
        for status, n in sorted(seen.items())
        if n > counted[status] and status != 413  # noqa: PLR2004 - see above
    )
    summary = "statuses differ between load and API" if wrong else "statuses agree"
    return (
        CheckResult(
            name="counts statuses",
            passed=not wrong,
            stage=Stage.INSTRUMENT,
            summary=summary,
            details=wrong,
        ),
    )


def check_instances(case: Case) -> tuple[CheckResult, ...]:
    """Prometheus holds exactly the final counters of every instance."""
    snapshot, rows = case.evidence.snapshot, instances(case)
    foreign = [row.instance for row in rows if row.instance not in snapshot.api]
    details = [f"{row.instance}: {line}" for row in rows for line in row.differences]
    details += [f"{name}: in Prometheus, but no instance of this run" for name in foreign]
    unknown = sum(row.api is None for row in rows) - len(foreign)
    too_many, lost = _per_metric(case)
    passed = not foreign and not too_many and lost <= case.scenario.limits.lost_requests
    if passed:
        compared = len(rows) - unknown
        summary = f"Prometheus holds the final counters of {compared} of {len(rows)} instances"
        if details:
            summary += f", but for {lost} within the limit"
    elif foreign:
        summary = "Prometheus holds counters of instances that this run did not start"
    elif too_many:
        summary = "Prometheus counted more than the API did"
    else:
        summary = f"Prometheus lacks {lost} of what the API counted{_why_lost(case)}"
    return (
        CheckResult(
            name="counts instances",
            passed=passed,
            stage=Stage.PROMETHEUS,
            summary=summary,
            details=tuple(details),
        ),
    )


def check_log_ids(case: Case) -> tuple[CheckResult, ...]:
    """Each answered prediction has its row, and each row its request."""
    log = case.evidence.snapshot.log
    if log is None:
        return ()
    details = [
        *_ids(log.missing, "answered, but not in the log"),
        *_ids(log.foreign, "in the log, but never sent by this run"),
        *_ids(log.duplicated, "requests with more than one row"),
    ]
    summary = "ids of the log and of the load differ" if details else "every id is found again"
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
    requests = case.evidence.truth.requests
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
    return _hop("load_api", len(requests), _requests(counted), certain, possible)


def _api_to_prometheus(case: Case) -> Hop:
    snapshot = case.evidence.snapshot
    stored = sum(_requests(snapshot.prometheus.get(instance, ())) for instance in snapshot.api)
    lost = [(Reason.TELEMETRY_LOST, case.scenario.limits.lost_requests)]
    crashed = [(Reason.REPLICA_CRASHED, _requests(taken_along(case)))]
    return _hop("api_prometheus", _requests(_counted(case)), stored, crashed, lost)


def _api_to_log(counted: Sequence[Count], rows: int) -> Hop:
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
    sent = _requests(counted)
    if of_many(counted):
        sent += rows_of_many(counted, certain, broken)
    nameless = broken.total() - sum(certain[reason] for reason in FAILED.values())
    shed = min(max(nameless, 0), broken[503])
    certain[Reason.SHED_503] += shed
    # A row that could not be confirmed may stand in the log all the same.
    unsure = certain.pop(Reason.LOG_FAILED, 0)
    # Answered, but with no room left for its row: the API's setting allowed that.
    unsure += _total(counted, names.LOG_ROWS.prometheus, {OUTCOME: "dropped"})
    # One that crashed may have left rows that another replica has written since.
    spooled = _total(counted, names.LOG_SPOOLED.prometheus)
    possible = [(Reason.LOG_FAILED, unsure), (Reason.LOG_SPOOLED, spooled)]
    return _hop("api_log", sent, rows, sorted(certain.items()), possible)


def _log_counter(counted: Sequence[Count], rows: int) -> Hop:
    metric = names.LOG_ROWS.prometheus
    failed = sum(_total(counted, metric, {OUTCOME: how}) for how in ("failed", "dropped"))
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


def hop_result(case: Case, hop: Hop) -> CheckResult:
    """What a hop of the loss table means for the verdict."""
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
            summary = f"{counts}: {hop.residual} lost{_why_lost(case)}"
    return CheckResult(
        name=f"counts {hop.key}",
        passed=not hop.residual,
        stage=STAGES[hop.key],
        summary=summary,
        details=reasons,
    )


def _per_metric(case: Case) -> tuple[bool, int]:
    """Whether Prometheus has too much of any series, and the most that any metric lacks."""
    snapshot = case.evidence.snapshot
    lacking: Counter[str] = Counter()
    too_many = False
    for instance, own in snapshot.api.items():
        if own is None:
            continue
        stored = compared(snapshot.prometheus.get(instance, ()))
        held = {count.key: count.value for count in stored}
        for count in compared(own):
            missing = count.value - held.pop(count.key, 0)
            lacking[count.metric] += max(0, missing)
            too_many |= missing < 0
        too_many |= any(held.values())
    return too_many, max(lacking.values(), default=0)


def _differences(own: Sequence[Count], stored: Sequence[Count]) -> tuple[str, ...]:
    mine = {count.key: count.value for count in compared(own)}
    held = {count.key: count.value for count in compared(stored)}
    return tuple(
        f"{metric}{{{', '.join(labels)}}}: API {mine.get(key, 0)}, Prometheus {held.get(key, 0)}"
        for key in sorted({*mine, *held})
        if mine.get(key, 0) != held.get(key, 0)
        for metric, *labels in (key,)
    )


def _why_lost(case: Case) -> str:
    if "collector" in case.evidence.run.without:
        return ": the run was made without collector, so no telemetry could arrive"
    if not case.evidence.snapshot.prometheus:
        return ": no telemetry of the API ever reached it"
    return ": telemetry was lost on the way"


def _requests(counts: Iterable[Count]) -> int:
    return _total(counts, HTTP_COUNT, {ROUTE: PREDICT_ROUTE})


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
