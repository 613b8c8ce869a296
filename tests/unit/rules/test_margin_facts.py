"""Margins read from a Prometheus: which queries, at which times, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from testbed.clients.prometheus import AlertRule, PrometheusClient, Series
from testbed.errors import StackError
from testbed.facts import margins
from testbed.facts.evaluations import ITERATIONS, LAST_EVALUATION, Evaluations
from testbed.facts.margins import contract_of, read_margins, read_waits
from testbed.facts.sources import RunSpan, Sources
from testbed.layout import RunLayout
from testbed.phases import PhaseRow
from testbed.scenario import Scenario
from testbed.targets import BundledApi
from testbed.truth import Truth

if TYPE_CHECKING:
    from pathlib import Path

PHASES = (
    PhaseRow(name="normal", start=1000.0, end=1010.0),
    PhaseRow(name="burst", start=1010.0, end=1030.0),
)
OWN = RunSpan(995.0, 1060.0, 1.0)
SCENARIO = Scenario.model_validate(
    {
        "name": "s", "title": "t", "description": "d",
        "phases": [
            {"name": "normal", "duration": "5m", "rate": 10},
            {"name": "burst", "duration": "10m", "rate": 10},
        ],
        "expected_alerts": [{"alert": "A", "phase": "burst", "within": "5m"}],
    }
)  # fmt: skip


def alert(query: str, name: str = "A") -> AlertRule:
    """A rule that is evaluated every second."""
    return AlertRule(name, "g", query, 2.0, "inactive", "ok", interval=1.0, file="f.yml")


@dataclass
class Fake:
    """A Prometheus in which a is 1, and 5 in the burst."""

    loaded: list[AlertRule]
    asked: list[tuple[str, float, float]] = field(default_factory=list)
    restarted: bool = False
    quiet_before: float = 1010.0

    def rules(self) -> list[AlertRule]:
        """The rules."""
        return self.loaded

    def raw(self, selector: str, **_: float) -> list[Series]:
        """Evaluations each second from 1001.2 on, 2 ms late; a scrape sees it half a second on."""
        labels = {"rule_group": "f.yml;g"}
        at = [1003.7 + second for second in range(56)]
        if selector == LAST_EVALUATION:
            return [Series(labels, tuple((time, time - 0.498) for time in at))]
        if selector == ITERATIONS:
            counts = [float(3 + number) for number in range(len(at))]
            if self.restarted:
                counts[-1] = 1.0
            return [Series(labels, tuple(zip(at, counts, strict=True)))]
        return []

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """One series of one value per evaluation."""
        self.asked.append((expression, start, end))
        if expression.startswith("broken"):
            raise StackError("many-to-many")
        count = round((end - start) / step) + 1
        times = [start + step * number for number in range(count)]
        points = tuple((time, 5.0 if self.quiet_before <= time < 1030 else 1.0) for time in times)
        return [Series({"__name__": "a", "job": "x"}, points)]


def sources(fake: Fake, tmp_path: Path, span: RunSpan = OWN) -> Sources:
    """Just what the margins need."""
    return Sources(
        prometheus=cast("PrometheusClient", fake),
        alertmanager=None,
        layout=RunLayout(tmp_path),
        scenario=SCENARIO,
        factor=30.0,
        truth=Truth(1000.0, 1052.0),
        target=BundledApi(),
        target_pages={},
        log_url="",
        span=span,
        phases=PHASES,
    )


def test_a_rule_with_its_margins_and_mutants(tmp_path: Path) -> None:
    """Asked at the times of the evaluations, the first one included that no scrape saw."""
    fake = Fake([alert("a > 2")])
    (rule,) = read_margins(sources(fake, tmp_path)).rules
    ((query, start, end),) = fake.asked
    assert (query, round(start, 1), round(end, 1)) == ("a{}", 1001.2, 1059.2)
    (limit,) = rule.limits
    assert rule.exercised
    assert (limit.quiet_held, limit.fault_peak, limit.fault_held) == (
        1.0, {"burst": 5.0}, {"burst": 5.0},
    )  # fmt: skip
    assert (limit.passes_from, limit.passes_to) == (1.0, 5.0)
    assert rule.killed + len(rule.survivors) == rule.mutants > 0
    assert "limit \u00d7 2" in rule.survivors
    # Five evaluations earlier or later: two, and three seconds for late data.
    assert rule.possible[0].start == pytest.approx(1010.202 + 2 - 5)
    assert rule.certain[0].start == pytest.approx(1010.202 + 2 + 5)
    assert rule.certain[0].end == pytest.approx(1030.202 - 5)
    assert rule.certain[0].labels == {"job": "x"}


def test_nothing_is_claimed_of_the_time_before_a_run_on_a_running_stack(tmp_path: Path) -> None:
    """What was so when it began must fire once ``for`` is over in the run, and may at once."""
    fake = Fake([alert("a > 2")], quiet_before=0.0)
    running = RunSpan(1003.5, 1060.0, 1.0, born=400.0)
    (rule,) = read_margins(sources(fake, tmp_path, running)).rules
    assert min(start for _, start, _ in fake.asked) == pytest.approx(1004.202)
    assert rule.possible[0].start == pytest.approx(1004.202)
    assert rule.certain[0].start == pytest.approx(1004.202 + 2)


def test_rules_that_can_t_be_replayed_say_why(tmp_path: Path) -> None:
    """The others are, all the same."""
    fake = Fake([alert("broken > 1"), alert("a >", "B"), alert("a > 9", "C")])
    failed, unread, silent = read_margins(sources(fake, tmp_path)).rules
    assert "many-to-many" in failed.problem
    assert "can't be read" in unread.problem
    assert not silent.problem
    assert not silent.exercised
    assert not silent.survivors
    assert silent.mutants > 0


def test_mutants_of_a_rule_that_breaks_its_contract_itself_say_nothing(tmp_path: Path) -> None:
    """There is nothing to hold them against; and nothing is held against what is allowed."""
    (rule,) = read_margins(sources(Fake([alert("a > 0")]), tmp_path)).rules
    assert rule.mutants == 0
    assert rule.unscored == "the alert fires unexpectedly in the replay of the rules themselves"


def test_hundreds_of_rules_do_not_ask_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutants of expected alerts come first; the others keep those that need no query."""
    monkeypatch.setattr(margins, "MUTANT_QUERIES", 3)
    fake = Fake([alert('a{b="c"} > 3', "B"), alert('a{job="x"} > 2')])
    read_margins(sources(fake, tmp_path))
    assert sorted({text for text, _, _ in fake.asked}) == [
        'a{b="c"}', 'a{job="x"}', 'a{job="xx"}', "a{}",
    ]  # fmt: skip


def test_a_restart_of_prometheus_is_noticed(tmp_path: Path) -> None:
    """Its counters begin anew."""
    assert not read_margins(sources(Fake([alert("a > 2")]), tmp_path)).restarted
    assert read_margins(sources(Fake([alert("a > 2")], restarted=True), tmp_path)).restarted


def test_evaluations_that_did_not_happen_are_left_out() -> None:
    """A hole of more than one evaluation; a single one may have escaped the scrape."""
    seen = np.array([10.0, 11.0, 13.0, 14.0, 18.0, 19.0])
    counted = np.array([(10.0, 2.0), (11.0, 3.0), (14.0, 6.0)])
    found = Evaluations(seen={"f.yml;g": seen}, counted={"f.yml;g": counted}, end=20.5)
    assert found.times(alert("a")).tolist() == [9, 10, 11, 12, 13, 14, 18, 19, 20]


def test_a_scrape_between_begin_and_end_of_an_evaluation_counts_one_too_many() -> None:
    """It says nothing of one before the first; the others do."""
    seen = np.array([10.0, 11.0, 12.0])
    counted = np.array([(10.0, 2.0), (11.0, 2.0), (12.0, 3.0)])
    found = Evaluations(seen={"f.yml;g": seen}, counted={"f.yml;g": counted}, end=12.5)
    assert found.times(alert("a")).tolist() == [10, 11, 12]


def test_without_self_scrapes_any_grid_must_do() -> None:
    """From the first scrape on."""
    assert Evaluations(start=5.0, end=8.0).times(alert("a")).tolist() == [5, 6, 7]


def test_a_contract_has_real_seconds() -> None:
    """And takes waiting times of Alertmanager's first route."""
    contract = contract_of(SCENARIO, PHASES, 30.0, "A", (1.0, 10.0))
    (expected,) = contract.expected
    assert (expected.start, expected.within, expected.resolves_within) == (1010.0, 10.0, None)
    assert contract.group_interval == 10.0
    assert not contract_of(SCENARIO, PHASES, 30.0, "B").expected


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("route: {group_wait: 1s, group_interval: 500ms}", (1.0, 0.5)),
        ("route: {group_wait: never}", (0.0, 0.0)),
        ("[]", (0.0, 0.0)),
        (None, (0.0, 0.0)),
    ],
)
def test_waits_of_alertmanager(tmp_path: Path, text: str | None, waits: Any) -> None:  # noqa: ANN401
    """0 where there is no such file, or it does not say."""
    path = tmp_path / "alertmanager.yml"
    if text is not None:
        path.write_text(text)
    assert read_waits(path) == waits
