"""The pages on which something is asked: query, rules, targets, traces, logs."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from testbed.charts import ChartLine, chart_queries, finite
from testbed.consoleapp.pages import labels, query_link
from testbed.consoleapp.readings import WINDOW, read_rules
from testbed.consoleapp.signals import (
    SEVERITIES,
    RecordSearch,
    component_log,
    component_logs,
    find_records,
    read_records,
    read_spans,
)
from testbed.consoleapp.svg import draw
from testbed.consoleapp.traces import TraceSearch, find_traces, trace_row, waterfall
from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.clients.prometheus import PrometheusClient, QueryAnswer
    from testbed.consoleapp.runfolder import RunFolder
    from testbed.consoleapp.svg import Drawing

    Context = dict[str, object]

RANGES: Final = (
    (60, "minute"), (600, "10 minutes"), (3600, "hour"), (21600, "6 hours"), (86400, "day"),
)  # fmt: skip
VALUES_SECONDS: Final = 3.0
"""In which the values of rules are asked: a run's Prometheus has other work to do."""
USUAL_RANGE: Final = 600
GRAPH_POINTS: Final = 240
SERIES_LIMIT: Final = 1000
"""Series that Prometheus is asked for at most."""
SHOWN: Final = 200
"""Series of a table at most."""
_ANSWERED: Final = re.compile(r"^Prometheus at \S+ answered \d+: ")
_TRACE: Final = re.compile(r'"?trace_id"?[=:]\s*"?([0-9a-f]{32})\b')


def query_page(run: RunFolder, query: Mapping[str, str]) -> Context:
    """What the query page shows.

    Args:
        run: of the stack.
        query: ``expr`` and ``range`` of the address, or ``g0.expr`` as Prometheus's own pages have.
    """
    expression = query.get("expr") or query.get("g0.expr", "")
    wanted = query.get("range", "")
    seconds = int(wanted) if wanted in {str(each) for each, _ in RANGES} else USUAL_RANGE
    answer: QueryAnswer | None = None
    drawn: Drawing | None = None
    problem = ""
    if expression.strip():
        with run.prometheus() as prometheus:
            try:
                answer = prometheus.answer(expression, limit=SERIES_LIMIT)
                if answer.kind in {"vector", "scalar"}:
                    drawn = _graph(prometheus, expression, seconds)
            except StackError as error:
                problem = in_words(str(error))
    chart = {"title": f"The last {dict(RANGES)[seconds]}", "unit": "", "why": ""}
    return {
        "expr": expression,
        "range": seconds,
        "ranges": RANGES,
        "answer": answer,
        "drawn": drawn,
        "problem": problem,
        "shown": SHOWN,
        "cut": answer is not None and len(answer.series) >= SERIES_LIMIT,
        "chart": chart | {"link": query_link(expression)},
        "examples": [(c.title, asked[0][0]) for c, asked in chart_queries(WINDOW)],
    }


def in_words(message: str) -> str:
    """What Prometheus says of a query, without where it was asked."""
    return _ANSWERED.sub("", message)


def _graph(prometheus: PrometheusClient, expression: str, seconds: int) -> Drawing:
    now = time.time()
    step = seconds / GRAPH_POINTS
    series = prometheus.query_range(expression, now - seconds, now, step, limit=SERIES_LIMIT)
    lines = [
        ChartLine(name=f"{each.labels.get('__name__', '')}{{{labels(each.labels)}}}", points=points)
        for each in series
        if (points := finite(each.points))
    ]
    return draw(lines, now - seconds, now)


def rules_page(run: RunFolder) -> Context:
    """What the page of the rules shows."""
    with run.prometheus() as prometheus:
        try:
            rows = read_rules(prometheus, seconds=VALUES_SECONDS)
            recorded = [
                rule
                for group in prometheus.groups()
                for rule in group.rules
                if rule.kind == "recording"
            ]
        except StackError as error:
            return {"rows": [], "recorded": [], "problem": str(error), "seconds": VALUES_SECONDS}
    return {"rows": rows, "recorded": recorded, "problem": "", "seconds": VALUES_SECONDS}


def targets_page(run: RunFolder) -> Context:
    """What the page of the targets shows."""
    with run.prometheus() as prometheus:
        try:
            found = sorted(prometheus.targets(), key=lambda each: (each.job, each.instance))
        except StackError as error:
            return {"targets": [], "problem": str(error)}
    return {"targets": found, "problem": ""}


def traces_page(run: RunFolder, query: Mapping[str, str]) -> Context:
    """What the page of the traces shows."""
    search = TraceSearch(
        query.get("text", ""),
        query.get("service", ""),
        errors=query.get("errors") == "1",
        slowest=query.get("order") == "slowest",
    )
    spans = read_spans(run.layout)
    found = find_traces(spans, search)
    ratio = run.identity.get("trace_ratio")
    return {"search": search, "found": found, "ratio": ratio, "lines": spans}


def trace_page(run: RunFolder, trace: str) -> Context | None:
    """What the page of one trace shows; None where no span of it is stored."""
    spans = [span for span in read_spans(run.layout, trace) if span["trace_id"] == trace]
    return {"row": trace_row(spans), "bars": waterfall(spans)} if spans else None


def logs_page(run: RunFolder, query: Mapping[str, str]) -> Context:
    """What the page of the logs shows."""
    component = query.get("component", "")
    search = RecordSearch(
        *(query.get(name, "").strip() for name in ("text", "service", "severity", "trace"))
    )
    lines = read_records(run.layout)
    records, total = ([], 0) if component else find_records(lines, search)
    return {
        "component": component,
        "components": component_logs(run.layout),
        "tail": log_lines(component_log(run.layout, component) or ""),
        "search": search,
        "severities": list(SEVERITIES),
        "records": records,
        "stored": {span["trace_id"] for span in read_spans(run.layout)} if records else set(),
        "total": total,
        "lines": lines,
        "sent": run.layout.log_records.exists() and run.layout.log_records.stat().st_size > 0,
    }


def log_lines(text: str) -> list[tuple[str, str]]:
    """Lines of a log, each with the id of the trace that it names; else with an empty text."""
    found = ((line, _TRACE.search(line)) for line in text.splitlines())
    return [(line, match[1] if match else "") for line, match in found]
