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
DURATIONS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
INFERENCES: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0),
)
NUMBERS: Final = (
    *(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0),
    *(1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6),
)
# Once more what the vocabulary says: the API takes its buckets from there, so a mistake in it would
# be in both. A change of a bucket, of which the limits of alerts depend, is made in both places.
BUCKETS: Final = {
    "http_server_request_duration_seconds": DURATIONS,
    "ml_prediction_log_write_duration_seconds": DURATIONS,
    "ml_model_inference_duration_seconds": INFERENCES,
    "ml_batch_queue_wait_seconds": INFERENCES,
    "ml_batch_size": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    "ml_prediction_value": NUMBERS,
    "ml_prediction_absolute_error": NUMBERS,
    "ml_prediction_probability": (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
}
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
    buckets = tuple(map(float, BUCKETS.get(shape.name, metric.buckets)))
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
