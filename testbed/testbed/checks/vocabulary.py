"""The vocabulary: metrics of the API have its types, buckets, labels and values, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names
from testbed_otel.aliases import ALIASES

from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed_otel.names import Metric

    from testbed.facts.exposition import Shape
    from testbed.facts.measured import PageShapes

NAME: Final = "measured vocabulary"
LINES: Final = 10
VOCABULARY: Final = {metric.prometheus: metric for metric in names.METRICS}
# How the exposition calls an instrument's kind.
KINDS: Final = {"updowncounter": "gauge"}
ALIASED: Final = {alias.name for aliases in ALIASES.values() for alias in aliases}
# Those that are there from a process's start on, whatever the load.
NEEDED: Final = (names.PREDICTIONS, names.PREDICTION_ERRORS, names.MODEL_LOADED)
OVERFLOW: Final = "otel_metric_overflow"


def check_vocabulary(pages: Sequence[PageShapes]) -> CheckResult:
    """Hold the metrics on every page against the vocabulary."""
    if not pages:
        return not_applicable(NAME, Stage.INSTRUMENT, "no process of the API was there at the end")
    faults = sorted({fault for page in pages for fault in _faults(page.shapes)})
    count = len({shape.name for page in pages for shape in page.shapes})
    summary = (
        f"{len(faults)} of the API's metrics are not as the vocabulary says: {faults[0]}"
        if faults
        else f"{count} metrics of the API have the vocabulary's types, buckets and labels"
    )
    return CheckResult(
        name=NAME,
        passed=not faults,
        stage=Stage.INSTRUMENT,
        summary=summary,
        details=tuple(faults[1:LINES]),
    )


def _faults(shapes: Sequence[Shape]) -> Iterable[str]:
    known = {shape.name for shape in shapes}
    for metric in NEEDED:
        if metric.prometheus not in known:
            yield f"{metric.prometheus} is missing"
    for shape in shapes:
        if shape.name in VOCABULARY:
            yield from _compare(shape, VOCABULARY[shape.name])
        elif shape.name not in ALIASED:
            yield f"{shape.name} is not in the vocabulary"


def _compare(shape: Shape, metric: Metric) -> Iterable[str]:
    kind = KINDS.get(metric.kind, metric.kind)
    if shape.kind != kind:
        yield f"{shape.name} is a {shape.kind}, not a {kind}"
        return
    buckets = tuple(float(bound) for bound in metric.buckets)
    if shape.bounds and shape.bounds != buckets:
        yield f"{shape.name} has the buckets {_list(shape.bounds)}, not {_list(buckets)}"
    allowed = {names.label(name) for name in metric.attributes} | {OVERFLOW}
    for label in sorted(set(shape.labels) - allowed):
        yield f"{shape.name} has the label {label}"
    for name, values in metric.values:
        for value in shape.labels.get(names.label(name), ()):
            if value not in values and value != names.OTHER:
                yield f"{shape.name} has {names.label(name)}={value}"


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
