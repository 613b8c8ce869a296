"""How far each alert was from its limit, and which mutants of its rule would pass, too."""

from __future__ import annotations

import math
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from testbed_domain.yamlfile import read_yaml
from testbed_rules.conditions import GridSeries, evaluate, leaves, read_condition, written
from testbed_rules.limits import extremes, limits_of, passing_limits
from testbed_rules.mutants import mutants, queries
from testbed_rules.outcomes import AlertContract, AlertExpectation, broken_by
from testbed_rules.replay import RuleTiming, narrowed, replay, widened
from testbed_rules.scoring import MutationScore, ReplayedPhases, score
from testbed_rules.timescale import parse_duration

from testbed.errors import StackError, UsageError
from testbed.facts.evaluations import read_evaluations
from testbed.facts.marginmodels import LimitMargin, Margins, Replayed, RuleMargins
from testbed.heartbeat import always_fires

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from numpy.typing import NDArray
    from testbed_rules.conditions import Compare, Vector
    from testbed_rules.scoring import Firings

    from testbed.clients.prometheus import AlertRule, PrometheusClient, Series
    from testbed.facts.evaluations import Evaluations
    from testbed.facts.sources import Sources
    from testbed.phases import PhaseRow
    from testbed.scenario import Scenario

WAITS: Final = ("group_wait", "group_interval")
QUERIES_AT_ONCE: Final = 4
MUTANT_QUERIES: Final = 500
"""Queries for mutants, of expected alerts first: a folder of hundreds of rules is not asked all."""

LATE_DATA: Final = 3.0
"""Real seconds by which a point may reach Prometheus after its time: export, Collector, a busy
machine. The replay has it at its time, the rule saw it later."""

EDGE: Final = 2
"""Evaluations by which a replay may be off for other reasons: one was late, one was missed."""


def read_margins(sources: Sources) -> Margins:
    """Read them.

    Raises:
        DomainError: they can't be had.
    """
    evaluations = read_evaluations(sources)
    loaded = _load(sources, evaluations)
    by_alert: defaultdict[str, list[_Loaded]] = defaultdict(list)
    for each in loaded:
        by_alert[each.rule.name].append(each)
    waits = read_waits(sources.layout.config / "alertmanager.yml")
    older = sources.span.born is not None
    return Margins(
        rules=tuple(
            _margins(
                each,
                tuple(f for o in by_alert[each.rule.name] if o is not each for f in o.firings()),
                contract_of(
                    sources.scenario, sources.phases, sources.factor, each.rule.name, waits
                ),
                older=older,
            )
            for each in loaded
        ),
        restarted=evaluations.restarted,
    )


def _load(sources: Sources, evaluations: Evaluations) -> list[_Loaded]:
    """All alerting rules with what they are replayed on, as Prometheus has them."""
    rules = sources.prometheus.rules()
    expected = {item.alert for item in sources.scenario.expected_alerts}
    left = MUTANT_QUERIES
    loaded: dict[int, _Loaded] = {}
    with ThreadPoolExecutor(QUERIES_AT_ONCE) as pool:
        for index in sorted(range(len(rules)), key=lambda i: rules[i].name not in expected):
            loaded[index] = _Loaded(rules[index], evaluations, pool, sources, left)
            left -= loaded[index].further
        for each in loaded.values():
            each.receive()
    return [loaded[index] for index in range(len(rules))]


class _Loaded:
    """A rule, its queries under way, and then what it is replayed on.

    Attributes:
        rule: as loaded.
        played: what it is replayed on; None where it can't be.
        problem: why it can't be.
        further: number of queries for its mutants alone.
    """

    def __init__(
        self,
        rule: AlertRule,
        evaluations: Evaluations,
        pool: Executor,
        sources: Sources,
        limit: int,
    ) -> None:
        self.rule = rule
        self.played: ReplayedPhases | None = None
        self.problem = ""
        self.further = 0
        self._answers: dict[str, Future[Vector]] = {}
        self._times = evaluations.times(rule) if rule.interval > 0 else np.empty(0)
        if len(self._times) == 0:
            self.problem = "it was never evaluated"
            return
        try:
            self._condition = read_condition(rule.query)
            self._mutants = mutants(self._condition, RuleTiming(rule.for_, rule.keep_firing))
        except ValueError as error:
            self.problem = f"its expression can't be read: {' '.join(str(error).split())}"
            return
        fetch = partial(_fetch, sources.prometheus, self._times, rule.interval)
        own = frozenset(leaves(self._condition))
        if len(queries(self._mutants) - own) > limit:
            # Limits, comparisons and durations need no query of their own.
            self._mutants = tuple(m for m in self._mutants if own.issuperset(leaves(m.condition)))
        wanted = own | queries(self._mutants)
        self.further = len(wanted - own)
        self._answers = {text: pool.submit(fetch, text) for text in sorted(wanted)}

    def receive(self) -> None:
        """Wait for the answers."""
        answers: dict[str, Vector] = {}
        for text, answer in self._answers.items():
            try:
                answers[text] = answer.result()
            except StackError as error:
                # A mutant may be refused, as one that matches many to many; the rule may not.
                if text in leaves(self._condition):
                    self.problem = f"its query failed: {error}"
        if not self.problem:
            self.played = ReplayedPhases(
                self._condition,
                RuleTiming(self.rule.for_, self.rule.keep_firing),
                self._times,
                answers,
                self._mutants,
                self.rule.labels,
            )

    def firings(self) -> Firings:
        """What it fires in the replay."""
        return self.played.firings() if self.played is not None else ()


def _fetch(
    prometheus: PrometheusClient, times: NDArray[np.float64], step: float, text: str
) -> Vector:
    """The series of a query at the times of evaluations, which lie on a grid with holes."""
    start = float(times[0])
    places = np.rint((times - start) / step).astype(np.int64)
    found = prometheus.query_range(text, start, float(times[-1]), step)
    return tuple(_line(series, start, step, places) for series in found)


def _line(series: Series, start: float, step: float, places: NDArray[np.int64]) -> GridSeries:
    values = np.full(int(places[-1]) + 1, np.nan)
    present = np.zeros(len(values), dtype=bool)
    points = np.asarray(series.points, dtype=np.float64).reshape(-1, 2)
    index = np.rint((points[:, 0] - start) / step).astype(np.int64)
    values[index], present[index] = points[:, 1], True
    labels = frozenset((name, value) for name, value in series.labels.items() if name != "__name__")
    return GridSeries(labels, values[places], present[places])


def _margins(
    loaded: _Loaded, others: Firings, contract: AlertContract, *, older: bool
) -> RuleMargins:
    rule, played = loaded.rule, loaded.played
    about = RuleMargins(
        alert=rule.name,
        group=rule.group,
        labels=dict(rule.labels),
        expression=" ".join(rule.query.split()),
        for_=rule.for_,
        interval=rule.interval,
        problem=loaded.problem,
    )
    if played is None:
        return about
    own = played.firings()
    beats = always_fires(rule.query)
    # A heartbeat fires in every phase, whatever the scenario says of it.
    contract = replace(contract, allowed=contract.allowed or beats)
    fault = broken_by((*own, *others), contract)
    retained = fault is None
    exercised = retained and any(
        beats
        or any(
            each.is_met_by(firing) and each.start <= firing.start < each.until
            for each in contract.expected
        )
        for firing in own
    )
    # What is only allowed may fire or not: no mutant of it could be noticed.
    scored = (
        score(played, others, contract) if retained and not contract.allowed else MutationScore()
    )
    limits = tuple(
        _limit(played, compare, others, contract, bounded=exercised)
        for compare in limits_of(played)
    )
    steps = EDGE + math.ceil(LATE_DATA / rule.interval)
    return about.model_copy(
        update={
            "unscored": "it has no condition" if beats else _unscored(fault, contract),
            "exercised": exercised,
            "limits": limits,
            "mutants": len(scored.killed) + len(scored.survivors),
            "killed": len(scored.killed),
            "alike": scored.alike,
            "survivors": tuple(m.text for m in scored.survivors) if exercised else (),
            "possible": _replayed(played, partial(widened, steps=steps), older=older),
            "certain": _replayed(played, partial(narrowed, steps=steps)),
        }
    )


def _unscored(fault: str | None, contract: AlertContract) -> str:
    """Why mutants of a rule can't be distinguished by what its alert must do; empty if they can."""
    if fault is not None:
        return f"the alert {fault} in the replay of the rules themselves"
    return "the scenario allows the alert, whatever it does" if contract.allowed else ""


def _limit(
    played: ReplayedPhases,
    compare: Compare,
    others: Firings,
    contract: AlertContract,
    *,
    bounded: bool,
) -> LimitMargin:
    first = min((each.start for each in contract.expected), default=math.inf)
    quiet = extremes(played, compare, [(-math.inf, first)])
    faults = {
        each.phase: extremes(played, compare, [(each.start, each.end)])
        for each in contract.expected
    }
    span = passing_limits(played, compare, others, contract) if bounded else None
    return LimitMargin(
        expression=written(compare.side),
        operator=compare.operator,
        limit=compare.limit,
        quiet_held=quiet.held,
        fault_peak={k: v.peak for k, v in faults.items() if v.peak is not None},
        fault_held={k: v.held for k, v in faults.items() if v.held is not None},
        bounded=span is not None,
        passes_from=span.low if span else None,
        passes_to=span.high if span else None,
    )


def _replayed(
    played: ReplayedPhases,
    change: Callable[[NDArray[np.bool_]], NDArray[np.bool_]],
    *,
    older: bool = False,
) -> tuple[Replayed, ...]:
    vector = tuple(
        GridSeries(line.labels, line.values, change(line.present))
        for line in evaluate(played.condition, played.answers)
    )
    return tuple(
        Replayed(labels=dict(firing.labels), start=firing.start, end=firing.end)
        for firing in replay(played.times, vector, played.timing, older=older)
    )


def contract_of(
    scenario: Scenario,
    phases: Sequence[PhaseRow],
    factor: float,
    alert: str,
    waits: tuple[float, float] = (0.0, 0.0),
) -> AlertContract:
    """What a scenario says of an alert, in real seconds.

    Args:
        scenario: durations in production seconds.
        phases: as they were played.
        factor: production seconds per real second.
        alert: its name.
        waits: ``group_wait`` and ``group_interval`` in real seconds.
    """
    played = {phase.name: phase for phase in phases}
    mine = [
        (item, played[item.phase])
        for item in scenario.expected_alerts
        if item.alert == alert and item.phase in played
    ]
    return AlertContract(
        expected=tuple(
            AlertExpectation(
                phase=phase.name,
                start=phase.start,
                end=phase.end,
                until=min(
                    (
                        later.start
                        for other, later in mine
                        if other.labels == item.labels and later.start > phase.start
                    ),
                    default=math.inf,
                ),
                within=item.within / factor,
                resolves_within=None
                if item.resolves_within is None
                else item.resolves_within / factor,
                labels=frozenset(item.labels.items()),
            )
            for item, phase in sorted(mine, key=lambda pair: pair[1].start)
        ),
        allowed=alert in scenario.allowed_alerts,
        group_wait=waits[0],
        group_interval=waits[1],
    )


def read_waits(path: Path) -> tuple[float, float]:
    """``group_wait`` and ``group_interval`` of a rendered Alertmanager's first route, in seconds.

    0 where the file does not say; a run without Alertmanager has none.
    """
    try:
        route = read_yaml(path)["route"]
        return tuple(parse_duration(str(route.get(key, "0"))) for key in WAITS)  # type: ignore[return-value]
    except (UsageError, KeyError, TypeError, AttributeError, ValueError):
        return (0.0, 0.0)
