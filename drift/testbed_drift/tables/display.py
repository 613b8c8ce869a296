"""A result as lines for a terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel.names import NUMBER_SCORES

from testbed_drift.rows.columns import PREDICTION, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed_drift.evaluation.assessment import Assessment
    from testbed_drift.evaluation.results import RunFinding, RunResult
    from testbed_drift.rows.extents import WindowSummary
    from testbed_drift.scoring.scores import ColumnDrift
    from testbed_drift.tables.schema import TableSchema

SHOWN: Final = ("accuracy", "precision", "recall", "f1", "roc_auc", *NUMBER_SCORES)
NUMBERS: Final = {PREDICTION: "predicted number", TARGET: "true number"}


def lines(
    result: RunResult, schema: TableSchema, group: str | None, *, whole: bool
) -> Iterator[str]:
    """What a person reads of a result.

    Args:
        result: of one window.
        schema: columns of the reference.
        group: whose result it is, where there are several.
        whole: all of it; else one line.
    """
    mark = f"{group}: " if group else ""
    found = result.finding
    if found is None:
        yield f"{mark}{result.outcome}: {result.message}"
        return
    if not whole:
        yield f"{mark}{found.current.name} rows={found.current.rows} {result.message}"
        return
    yield _window("reference", found.reference)
    yield _window("current", found.current)
    yield ""
    yield from _columns(found, schema)
    if found.assessment:
        yield from _performance(found.assessment)
        yield from _quality(found.assessment)
    yield from (f"left out  {name}: {reason}" for name, reason in schema.left_out.items())
    yield ""
    yield f"{found.decision.action}: {found.decision.words}"
    yield from (f"  {reason}" for reason in found.decision.reasons)
    yield result.message


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of texts as columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _window(which: str, window: WindowSummary) -> str:
    return f"{which:<10} {window.name}: {window.rows} rows, {window.labels} labels"


def _columns(found: RunFinding, schema: TableSchema) -> Iterator[str]:
    kinds = {column.label: column.kind for column in schema.columns}
    scores = found.scores
    evaluated = [*scores.columns, scores.prediction, *([scores.target] if scores.target else [])]
    rows: list[tuple[str, ...]] = [
        ("column", "kind", "method", "score", "threshold", "p-value", "alpha", "drifted")
    ]
    outcomes = NUMBERS if schema.numbers else {}
    outcome = "number" if schema.numbers else "class"
    rows += [
        _column(one, outcomes.get(one.column, one.column), kinds.get(one.column, outcome))
        for one in evaluated
        if one.comparisons
    ]
    yield from aligned(rows)


def _column(column: ColumnDrift, name: str, kind: str) -> tuple[str, ...]:
    shown = max(column.comparisons, key=lambda comparison: comparison.drifted)
    return (
        name,
        kind,
        shown.effect.method,
        f"{shown.effect.value:.3f}",
        f"{shown.effect.threshold:g}",
        f"{shown.test.value:.2g}",
        f"{shown.test.threshold:.2g}",
        "DRIFTED" if column.drifted else "no",
    )


def _performance(found: Assessment) -> Iterator[str]:
    parts = {"reference": found.reference, "realised": found.current}
    if not any(part.rows for part in parts.values()):
        return
    shown = [name for name in SHOWN if name in found.current.names]
    rows: list[tuple[str, ...]] = [("performance", "state", "labels", *shown)]
    rows += [
        (name, part.state, str(part.labels), *_scores(part.scores, shown))
        for name, part in parts.items()
    ]
    expected = _scores(found.estimate.scores or {}, shown)
    rows.append(("estimated", found.estimate.state, "-", *expected))
    yield ""
    yield from aligned(rows)


def _scores(scores: Mapping[str, float], shown: Sequence[str]) -> Iterator[str]:
    for name in shown:
        value = scores.get(name)
        yield "-" if value is None else f"{value:.3f}"


def _quality(found: Assessment) -> Iterator[str]:
    rows = [
        f"{column.column}: "
        + ", ".join(f"{check} {column.ratios[check]:.3g}" for check in column.worse)
        for column in found.quality.columns
        if column.worse
    ]
    rows += found.quality.phrases
    yield ""
    yield "quality   " + ("; ".join(rows) or "nothing is worse than in the reference")
