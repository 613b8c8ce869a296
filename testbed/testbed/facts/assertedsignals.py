"""Logs and spans that a scenario asserts something of, read once when a run ends."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field
from testbed_otel.masking import mask

from testbed.charts import StoredModel
from testbed.componentnames import SERVICES
from testbed.facts.asserted import of_kind
from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from testbed.assertions.log import LogAssertion
    from testbed.assertions.trace import SpanPattern, TraceAssertion
    from testbed.facts.sources import Sources

Line = dict[str, Any]

LOG, TRACE = "log", "trace"
EXAMPLES: Final = 3
LENGTH: Final = 300
"""Characters of an example."""
NAMES: Final = 12
"""Names of spans that are stored, the most frequent first."""


class AssertedLog(StoredModel):
    """What was found in a log.

    Attributes:
        name: of the assertion.
        lines: that were read.
        count: of them that match.
        examples: the first few.
        problem: why it could not be read; empty where it was.
    """

    name: str
    lines: int = 0
    count: int = 0
    examples: tuple[str, ...] = ()
    problem: str = ""


class AssertedTrace(StoredModel):
    """What was found of a tree of spans.

    Attributes:
        name: of the assertion.
        count: spans at which the tree begins.
        example: id of a trace that holds it.
        alike: spans that bear the name of the topmost one.
        spans: name of the most frequent spans to how many there are.
        problem: why spans could not be read; empty where they were.
    """

    name: str
    count: int = 0
    example: str = ""
    alike: int = 0
    spans: dict[str, int] = Field(default_factory=dict)
    problem: str = ""


def read_asserted_logs(sources: Sources) -> tuple[AssertedLog, ...]:
    """Search the log of each assertion."""
    return tuple(_searched(sources, each) for each in of_kind(sources, LOG))


def read_asserted_traces(sources: Sources) -> tuple[AssertedTrace, ...]:
    """Search the spans for the tree of each assertion."""
    asserted: list[TraceAssertion] = [*of_kind(sources, TRACE)]
    if not asserted:
        return ()
    spans = [
        line for line in read_lines(sources.layout.traces, [], required=False) if "name" in line
    ]
    return tuple(
        find_trees(each, _in_phase(sources, each.phase, spans, "start"), spans) for each in asserted
    )


def _searched(sources: Sources, asserted: LogAssertion) -> AssertedLog:
    if asserted.source == "records":
        service = SERVICES[asserted.component]
        records = read_lines(sources.layout.log_records, [], required=False)
        mine = (line for line in records if line.get("service") == service)
        found = _in_phase(sources, asserted.phase, mine, "time")
        return search(asserted, (str(line["body"]) for line in found))
    path = sources.layout.logs / f"{asserted.component}.log"
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return search(asserted, file)
    except OSError as error:
        return AssertedLog(name=asserted.name, problem=f"{path.name}: {error.strerror}")


def search(asserted: LogAssertion, texts: Iterable[str]) -> AssertedLog:
    """Count the texts that match."""
    pattern, lines, count = re.compile(asserted.matches), 0, 0
    examples: list[str] = []
    for text in texts:
        lines += 1
        if pattern.search(text):
            count += 1
            if len(examples) < EXAMPLES:
                examples.append(mask(text.strip())[:LENGTH])
    return AssertedLog(name=asserted.name, lines=lines, count=count, examples=tuple(examples))


def _in_phase(
    sources: Sources, phase: str | None, lines: Iterable[Line], key: str
) -> Iterator[Line]:
    if phase is None:
        yield from lines
        return
    spans = [(row.start, row.end) for row in sources.phases if row.name == phase]
    for line in lines:
        if any(start <= float(line[key]) < end for start, end in spans):
            yield line


def find_trees(
    asserted: TraceAssertion, topmost: Iterable[Line], spans: Sequence[Line]
) -> AssertedTrace:
    """Look for a tree.

    Args:
        asserted: the tree.
        topmost: spans at which it may begin.
        spans: all spans.
    """
    below: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for span in spans:
        below[span["trace_id"], span["parent_id"]].append(span)
    alike = [span for span in topmost if span["name"] == asserted.tree.name]
    found = [span for span in alike if _matches(asserted.tree, span, below)]
    return AssertedTrace(
        name=asserted.name,
        count=len(found),
        example=found[0]["trace_id"] if found else "",
        alike=len(alike),
        spans=dict(Counter(span["name"] for span in spans).most_common(NAMES)),
    )


def _matches(
    pattern: SpanPattern, span: Line, below: Mapping[tuple[str, str], Sequence[Line]]
) -> bool:
    attributes = span["attributes"]
    if (
        span["name"] != pattern.name
        or pattern.status not in {None, span["status"]}
        or any(not _same(attributes.get(key), value) for key, value in pattern.attributes.items())
    ):
        return False
    children = below.get((span["trace_id"], span["span_id"]), ())
    return _placed(pattern.children, children, below)


def _placed(
    patterns: Sequence[SpanPattern],
    spans: Sequence[Line],
    below: Mapping[tuple[str, str], Sequence[Line]],
) -> bool:
    """Whether each pattern has a span of its own."""
    if not patterns:
        return True
    first, *others = patterns
    return any(
        _matches(first, span, below)
        and _placed(others, [*spans[:place], *spans[place + 1 :]], below)
        for place, span in enumerate(spans)
    )


def _same(found: object, wanted: object) -> bool:
    """Whether two values are equal; true is not 1."""
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
