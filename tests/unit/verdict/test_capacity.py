"""The search for the highest rate that holds, what a step shows, and its picture."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from testbed.capacity import CapacityObjective, RateStep, search, step_of
from testbed.cli import app
from testbed.errors import UsageError
from testbed.report.knee import knee_table
from testbed.report.kneepage import knee_figure, knee_page
from testbed.truth import Truth
from typer.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import World

OBJECTIVE = CapacityObjective(ratio=0.99, latency=0.25)


def bearing(capacity: float, tried: list[float]) -> Callable[[float], RateStep]:
    """A service that holds up to some rate."""

    def probe(rate: float) -> RateStep:
        tried.append(rate)
        held = rate <= capacity
        return RateStep(
            rate=rate,
            due=10,
            sent=10,
            good_ratio=1.0 if held else 0.5,
            p50=0.01,
            p99=0.02 if held else 3.0,
            held=held,
            limited_by=None if held else "service",
        )

    return probe


@pytest.mark.parametrize(
    ("capacity", "found", "fails"),
    [(333, 325, 350), (10_000, 1000, None), (60, 56, 62), (3, 2.9, 3.3), (0.5, None, 1.5625)],
)
def test_the_search_ends_around_the_capacity(
    capacity: float, found: float | None, fails: float | None
) -> None:
    """Within the precision; at the most that is to be tried; or below the least."""
    tried: list[float] = []
    result = search(bearing(capacity, tried), OBJECTIVE, start=50, maximum=1000, precision=0.1)
    if capacity == 3:
        assert result.capacity is not None
        assert result.fails_from is not None
        assert result.capacity <= capacity < result.fails_from
    else:
        assert (result.capacity, result.fails_from) == (found, fails)
    assert len(tried) < 25
    assert len(result.steps) == len(tried)


def test_a_hiccup_is_tried_once_more() -> None:
    """One step that fails and then holds does not end the search."""
    tried: list[float] = []
    steady = bearing(400, tried)

    def probe(rate: float) -> RateStep:
        step = steady(rate)
        if rate == 100 and tried.count(100) == 1:
            return step.model_copy(update={"held": False, "limited_by": "service"})
        return step

    result = search(probe, OBJECTIVE, start=100, maximum=400, precision=0.1)
    assert (result.capacity, result.fails_from) == (400, None)
    assert tried == [100, 100, 200, 400]
    assert result.text.endswith("more was not tried")


def truth_of(world: World, *, late: float = 0.0, slow: float = 0.0) -> Truth:
    """A hundred requests that were answered with 200, sent late or answered slowly."""
    requests = tuple(
        replace(each, sent_at=each.scheduled_at + late, finished_at=each.scheduled_at + late + slow)
        for each in world.requests[:100]
    )
    return Truth(1000.0, 1012.0, requests)


def test_a_step_holds_if_enough_requests_are_good(world: World) -> None:
    """From when they were due; those that were never sent are not."""
    assert step_of(10, 100, truth_of(world, slow=0.2), OBJECTIVE).held
    lacking = step_of(10, 110, truth_of(world, slow=0.2), OBJECTIVE)
    assert not lacking.held
    assert lacking.good_ratio == pytest.approx(100 / 110)


def test_a_load_that_falls_behind_is_not_the_service(world: World) -> None:
    """Then the result is a lower bound, and says so."""
    late = step_of(10, 100, truth_of(world, late=1.0, slow=0.1), OBJECTIVE)
    slow = step_of(10, 100, truth_of(world, slow=1.0), OBJECTIVE)
    assert (late.limited_by, slow.limited_by) == ("load", "service")
    result = search(
        lambda rate: late if rate > 50 else late.model_copy(update={"held": True}),
        OBJECTIVE,
        start=50,
        maximum=100,
        precision=0.5,
    )
    assert "a lower bound" in result.text


def test_the_knee_is_drawn() -> None:
    """As a page with a figure of both percentiles, and as bars."""
    result = search(bearing(333, []), OBJECTIVE, start=50, maximum=1000, precision=0.1)
    rates = sorted({step.rate for step in result.steps})
    lines = {line.name: list(line.x) for line in knee_figure(result).data}
    ends = {"objective: 250 ms": [rates[0], rates[-1]], "capacity: 325/s": [325, 325]}
    assert lines == {"p50": rates, "p99": rates, **ends}
    page = knee_page(result)
    assert all(f'<th scope="row">{rate:g}/s</th>' in page for rate in rates)
    assert page.count("<script") == 3
    assert result.text == ("325 requests per second hold 99% of requests within 0.25 s, 350 don't")
    console = Console(file=io.StringIO(), width=120)
    console.print(knee_table(result))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "▓  ✗ service" in shown
    assert "350/s" in shown


def test_what_cannot_be_searched_is_refused(tmp_path: Path) -> None:
    """Before anything starts."""
    (tmp_path / "file").touch()
    for words, complaint in (
        (["--objective", "99"], "give a ratio between 0 and 1"),
        (["--out", str(tmp_path)], "is not empty"),
        (["--host", "http://127.0.0.1:9", "--replicas", "2"], "leave it out"),
    ):
        failed = CliRunner().invoke(app, ["capacity", *words])
        assert isinstance(failed.exception, UsageError)
        assert complaint in str(failed.exception)


def test_the_result_is_json() -> None:
    """With its version."""
    result = search(bearing(333, []), OBJECTIVE, start=50, maximum=1000, precision=0.1)
    assert json.loads(result.model_dump_json())["schema_version"] == 1
