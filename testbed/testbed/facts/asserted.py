"""The values of the queries that a scenario asserts, at each evaluation of the rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from testbed_rules.dimensions import Dimension, with_numbers_scaled
from testbed_rules.rulefiles import read_rules
from testbed_rules.scaling import recorded_dimensions
from testbed_rules.timescale import TimeScale

from testbed.charts import POINTS, StoredModel
from testbed.errors import StackError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from testbed.assertions.promql import PromqlAssertion
    from testbed.facts.sources import Sources

PROMQL: Final = "promql"
MAX_SERIES: Final = 200
"""Series of one query that are kept."""


class AssertedSeries(StoredModel):
    """One series of a query; a value that is no finite number is None."""

    labels: str
    points: tuple[tuple[float, float | None], ...]


class AssertedQuery(StoredModel):
    """What came of a query.

    Attributes:
        name: of the assertion.
        query: as it was asked, with real durations.
        start: Unix time of the first evaluation.
        end: Unix time of the last one.
        step: seconds from one to the next.
        series: at most :data:`MAX_SERIES`.
        dropped: how many more came.
        problem: why it could not be asked; empty where it was.
    """

    name: str
    query: str
    start: float = 0.0
    end: float = 0.0
    step: float = 0.0
    series: tuple[AssertedSeries, ...] = ()
    dropped: int = 0
    problem: str = ""


def read_asserted(sources: Sources) -> tuple[AssertedQuery, ...]:
    """Ask each query of the scenario."""
    return tuple(_asked(sources, each) for each in of_kind(sources, PROMQL))


def of_kind(sources: Sources, kind: str) -> Iterator[Any]:
    """Assertions of a kind; their modules use facts, so that facts go by the name of the kind."""
    return (each for each in sources.scenario.assertions if each.kind == kind)


def _asked(sources: Sources, assertion: PromqlAssertion) -> AssertedQuery:
    query, problem = as_in_production(
        assertion.promql, sources.factor, _recorded(sources.layout.config / "rules")
    )
    found = AssertedQuery(name=assertion.name, query=query, problem=problem)
    if problem:
        return found
    phases = [each for each in sources.phases if assertion.phase in {None, each.name}]
    if not phases:
        return found.model_copy(update={"problem": "its phase was not played"})
    start = phases[0].start + sources.real(assertion.after)
    end = phases[-1].end
    step = max(sources.span.step, (end - start) / POINTS)
    if start >= end:
        return found.model_copy(update={"problem": "nothing is left of its phase after that time"})
    # Backwards from the end: the last evaluation is the one that `at_end` means.
    steps = math.floor((end - start) / step)
    try:
        series = sources.prometheus.query_range(query, end - steps * step, end, step)
    except StackError as error:
        return found.model_copy(update={"problem": str(error)})
    stored = tuple(
        AssertedSeries(labels=_written(each.labels), points=tuple(map(_finite, each.points)))
        for each in series[:MAX_SERIES]
    )
    return found.model_copy(
        update={
            "start": end - steps * step,
            "end": end,
            "step": step,
            "series": stored,
            "dropped": len(series) - len(stored),
        }
    )


def as_in_production(
    promql: str, factor: float, recorded: Mapping[str, Dimension]
) -> tuple[str, str]:
    """A query at a time scale whose values are those of production, so that bounds need no scale.

    Args:
        promql: with production durations, and numbers as they are in production.
        factor: time scale.
        recorded: dimension of the series that rules record.

    Returns:
        The query, and why it would mean something else at this scale; empty where it does not.
    """
    fitted = with_numbers_scaled(promql, factor, recorded)
    query = TimeScale(factor).expression(fitted.text)
    if factor == 1:
        return query, ""
    if isinstance(fitted.dimension, int) and fitted.dimension:
        query = f"({query}\n) * {factor**fitted.dimension:.15g}"
    return query, "; ".join(fitted.problems)


def _recorded(folder: Path) -> dict[str, Dimension]:
    try:
        return recorded_dimensions(read_rules(folder))
    except UsageError:  # the run has no rules
        return {}


def _written(labels: Mapping[str, str]) -> str:
    rest = ", ".join(f"{name}={value!r}" for name, value in labels.items() if name != "__name__")
    return labels.get("__name__", "") + (f"{{{rest}}}" if rest else "")


def _finite(point: tuple[float, float]) -> tuple[float, float | None]:
    time, value = point
    return time, value if math.isfinite(value) else None
