"""What a reader of a report sees first: what was decided and why, and the columns that drifted."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from testbed_domain.direction import readable

from testbed_drift.rendering.sketches import HEIGHT, WIDTH, CategoryBars, Histogram, sketch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from testbed_drift.formatting import ReportHeading, ReportTable
    from testbed_drift.scoring.scores import ColumnDrift, DriftScores

EXACT: Final = 1e4  # from which on numbers are shown without a fraction
RULE: Final = "Drift needs a significant test and a sufficient effect"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column of the overview: its verdict in words, and the shapes of its figure."""

    name: str
    drifted: bool
    words: tuple[str, ...]
    histogram: Histogram | None
    bars: CategoryBars | None


def overview(
    heading: ReportHeading,
    scores: DriftScores | None = None,
    frames: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    tables: Sequence[ReportTable] = (),
) -> str:
    """The head of a report, as HTML in which every text is escaped.

    Args:
        heading: title, verdict, and what was compared.
        scores: verdict per column; None where columns are not compared.
        frames: rows of reference and current, for the figures.
        tables: what else was found.
    """
    columns = _columns(scores, frames) if scores and frames else []
    environment = Environment(
        loader=PackageLoader("testbed_drift.rendering"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment.get_template("overview.html.j2").render(
        style=_file("overview.css"),
        script=_file("overview.js"),
        heading=heading,
        drifted=[one for one in columns if one.drifted],
        steady=[one for one in columns if not one.drifted],
        rule=RULE,
        scores=_rows(scores) if scores else [],
        tables=[one for one in tables if one.rows or not one.folded],
        width=WIDTH,
        height=HEIGHT,
    )


def ranked(scores: DriftScores) -> list[ColumnDrift]:
    """All that was evaluated: what drifted first, and most first."""
    evaluated = [one for one in (*scores.columns, scores.prediction, scores.target) if one]
    return sorted((one for one in evaluated if one.comparisons), key=_rank)


def _rank(column: ColumnDrift) -> tuple[bool, float]:
    leading = column.leading
    return not column.drifted, -(leading.value / (leading.threshold or 1.0)) if leading else 0.0


def _columns(scores: DriftScores, frames: tuple[pd.DataFrame, pd.DataFrame]) -> list[_Shown]:
    shown = []
    for column in ranked(scores):
        held = all(column.column in frame for frame in frames)
        shape = sketch(*(frame[column.column] for frame in frames)) if held else None
        words = tuple(
            f"{one.effect.method} {one.effect.value:.3g} (limit {one.effect.threshold:g}), "
            f"{one.test.method} p-value {one.test.value:.2g} (limit {one.test.threshold:.2g})"
            for one in sorted(column.comparisons, key=lambda one: not one.drifted)
        )
        shown.append(
            _Shown(
                column.column,
                column.drifted,
                words,
                shape if isinstance(shape, Histogram) else None,
                shape if isinstance(shape, CategoryBars) else None,
            )
        )
    return shown


def _rows(scores: DriftScores) -> list[tuple[str, ...]]:
    return [
        (
            column.column,
            score.method,
            f"{score.value:.4g}",
            f"{score.threshold:.4g}",
            ("no", "yes")[score.exceeded],
            ("no", "yes")[column.drifted],
        )
        for column in ranked(scores)
        for score in column.scores
    ]


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < EXACT else f"{value:,.0f}"


def _file(name: str) -> Any:  # noqa: ANN401 - markup
    text = (files("testbed_drift.rendering") / "templates" / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package
