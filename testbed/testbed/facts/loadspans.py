"""Spans of the load itself: one of each request whose trace is stored, the parent of the API's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from testbed_load.traceids import spanned
from testbed_otel import names

from testbed.charts import StoredModel
from testbed.facts.findings import Findings, StoredFinding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed.truth import Request

Line = dict[str, Any]

MISSING, TWICE, UNKNOWN, ORPHAN = "missing", "twice", "unknown", "orphan"


class LoadSpans(StoredModel):
    """What arrived of them.

    Attributes:
        due: requests that must have one: in a trace that is stored, failed, or slow.
        arrived: spans of the load of this run.
        parents: spans of the API that begin in one of them.
        findings: what is wrong with them, or with spans of the API that should begin in one.
    """

    due: int = 0
    arrived: int = 0
    parents: int = 0
    findings: tuple[StoredFinding, ...] = ()


def spans_of_load(lines: Iterable[Line], run_id: str) -> list[Line]:
    """Those of the load of one run; a stack may store those of others."""
    mine = f"load-{run_id}-"
    return [
        line
        for line in lines
        if line["service"] == names.SERVICE_LOAD and line["instance"].startswith(mine)
    ]


def load_spans(
    sent: Sequence[Line], served: Iterable[Line], requests: Mapping[str, Request]
) -> LoadSpans:
    """Hold the spans of the load against its truth, and those of the API against them.

    Args:
        sent: spans of the load.
        served: spans of the API, each of one request of the load.
        requests: of the load, by id.
    """
    findings = Findings()
    due = {
        request.trace_id: request
        for request in requests.values()
        if request.trace_id is not None
        and spanned(
            sampled=request.sampled,
            status=request.status,
            seconds=request.finished_at - request.sent_at,
        )
    }
    count = Counter(line["trace_id"] for line in sent)
    for trace_id, request in due.items():
        if not count[trace_id]:
            findings.add(MISSING, f"{request.request_id} in trace {trace_id}")
    for trace_id, number in count.items():
        if trace_id not in due:
            findings.add(UNKNOWN, f"trace {trace_id}")
        elif number > 1:
            findings.add(TWICE, f"{due[trace_id].request_id}: {number} spans")
    known = {line["trace_id"]: line["span_id"] for line in sent}
    parents = 0
    for line in served:
        if line["parent_id"] and known.get(line["trace_id"]) == line["parent_id"]:
            parents += 1
        elif line["trace_id"] in due:
            findings.add(ORPHAN, f"span {line['span_id']} in trace {line['trace_id']}")
    return LoadSpans(
        due=len(due), arrived=len(sent), parents=parents, findings=findings.all(len(due))
    )
