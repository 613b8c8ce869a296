"""Two runs held against each other: what changed, what became worse, and what is only chance."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.cli import app
from testbed.comparison import compare
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.report.comparing import comparison_page
from testbed.settings import TOLERANCE
from testbed.verdict import Verdict, write_verdict
from typer.testing import CliRunner

from tests.support.schemas import schema_of
from tests.support.typedpage import typed_in

from .conftest import ALERT, World

if TYPE_CHECKING:
    from pathlib import Path

DELAY = f"{ALERT} in burst: detection"


def changes(before: Verdict, after: Verdict, tolerance: float = 0.25) -> dict[str, bool]:
    """Kind and name of each change, and whether it is a regression."""
    found = compare(before, after, tolerance)
    return {f"{row.kind} {row.name}": row.regression for row in found.changes}


def test_a_run_is_like_itself(world: World) -> None:
    """Nothing changed, and the sentence says so."""
    verdict = world.evaluate()
    found = compare(verdict, verdict, TOLERANCE)
    assert (found.changes, found.differences, found.text) == ((), (), "nothing changed")


def test_an_alert_that_fires_no_more_is_a_regression(world: World) -> None:
    """The alert and its check; the other way round both only changed."""
    before = world.evaluate()
    world.silence()
    after = world.evaluate()
    worse = changes(before, after)
    assert worse[f"alert {ALERT} in burst"]
    assert worse[f"check alert {ALERT} in burst"]
    assert not any(changes(after, before).values())


@pytest.mark.parametrize(
    ("at", "tolerance", "expected"),
    [
        (1018.5, 0.25, None),  # 45 s of production time later: when rules are evaluated
        (1020.0, 0.25, True),
        (1020.0, 1.0, None),
        (1014.0, 0.25, False),
    ],
)
def test_a_delay_is_worse_beyond_chance_and_tolerance(
    *, world: World, at: float, tolerance: float, expected: bool | None
) -> None:
    """Two real seconds are chance; earlier is a change for the better."""
    before = world.evaluate()
    world.notifications[0] = replace(world.notifications[0], received_at=at)
    found = changes(before, world.evaluate(), tolerance)
    assert found.get(f"delay {DELAY}") is expected


def test_what_is_lost_without_a_reason_is_a_regression(world: World) -> None:
    """By the hop's title, with both numbers."""
    before = world.evaluate()
    world.log = None if world.log is None else world.log.model_copy(update={"rows": 390})
    after = world.evaluate()
    found = compare(before, after, TOLERANCE)
    losses = [(row.before, row.after) for row in found.regressions if row.kind == "loss"]
    assert ("0 unexplained", "10 unexplained") in losses
    assert [row.name for row in compare(after, before, TOLERANCE).regressions] == []


def test_latency_and_errors_are_compared(world: World) -> None:
    """As the limits measure them."""
    before = world.evaluate()
    world.requests = [
        replace(each, finished_at=each.finished_at + (0.5 if number % 2 else 0))
        for number, each in enumerate(world.requests)
    ]
    found = changes(before, world.evaluate())
    assert found["limit 95th percentile of latency from the planned time on"]


def test_a_score_that_falls_is_a_regression(world: World) -> None:
    """Even where the assertion only warns."""
    slow = {"kind": "requests", "name": "quick", "p95": 1.0, "severity": "warn"}
    world.scenario["assertions"] = [slow]
    before = world.evaluate()
    world.scenario["assertions"] = [{**slow, "p95": 0.001}]
    found = changes(before, world.evaluate())
    assert found == {"check timed assertion quick": False, "score assertions": True}


def test_runs_of_different_scenarios_are_refused(world: World) -> None:
    """Else everything would have changed; what else differs is named."""
    one = world.evaluate()
    run = one.run.model_copy(update={"scenario": "demo"})
    with pytest.raises(UsageError, match="compare two runs of one scenario"):
        compare(one, one.model_copy(update={"run": run}), TOLERANCE)
    seeded = one.model_copy(update={"run": one.run.model_copy(update={"seed": 8})})
    assert compare(one, seeded, TOLERANCE).differences == ("seed: 7, then 8",)


def test_the_command_fails_only_where_it_is_asked_to(world: World, tmp_path: Path) -> None:
    """Table, JSON by its schema, and a page in which all is escaped."""
    write_verdict(RunLayout(tmp_path / "one").create(), world.evaluate())
    world.silence()
    write_verdict(RunLayout(tmp_path / "two").create(), world.evaluate())
    page = tmp_path / "page.html"
    own = {
        "main-run": str(tmp_path / "one"),
        "my-run": str(tmp_path / "two"),
        "difference.html": str(page),
    }
    typed = typed_in("how-to/read-a-verdict.md", "testbed compare", own)
    words = typed[:3]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0
    assert f"{ALERT} in burst" in told.output
    failed = CliRunner().invoke(app, [*typed, "--json"])
    assert failed.exit_code == 1
    shown = json.loads(failed.stdout)
    schema_of("comparison.schema.json").validate(shown)
    assert "✗ worse" in page.read_text(encoding="utf-8")
    same = [words[0], words[1], words[1], "--fail-on-regression"]
    assert CliRunner().invoke(app, same).exit_code == 0
    none = CliRunner().invoke(app, ["compare", str(tmp_path / "one"), "nowhere"])
    assert isinstance(none.exception, UsageError)


def test_a_page_shows_names_as_text(world: World) -> None:
    """A scenario may be anybody's."""
    verdict = world.evaluate()
    checks = tuple(
        check.model_copy(update={"name": "<script>", "passed": False}) if not number else check
        for number, check in enumerate(verdict.checks)
    )
    page = comparison_page(
        compare(verdict, verdict.model_copy(update={"checks": checks}), TOLERANCE)
    )
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
