"""A run in memory whose every number agrees, for tests that then break one thing."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.checks.case import Case
from testbed.checks.results import Hop
from testbed.evidence import Evidence, RunInfo
from testbed.facts.alertspans import AlertSpan
from testbed.facts.boards import Boards
from testbed.facts.delivery import Delivery
from testbed.facts.finalcounts import Count
from testbed.facts.logcontent import LogContent
from testbed.facts.logcounts import LogFacts
from testbed.facts.marginmodels import Margins
from testbed.facts.rulehealth import RuleHealth
from testbed.facts.ruletests import RuleTests
from testbed.facts.servicecounts import ServiceCounts
from testbed.facts.signals import Signals
from testbed.pipeline import Pipeline
from testbed.records import DriftRun, ReceivedNotification, StoredEvent
from testbed.scenario import Scenario
from testbed.snapshot import LoadedRule, Snapshot
from testbed.truth import PostedLabels, Request, Truth
from testbed.verdict import Verdict, evaluate
from testbed_otel import names

FACTOR = 30.0
START = 1000.0
ALERT = "HighErrorRate"
INSTANCE = "api-1"
SCENARIO: dict[str, Any] = {
    "name": "error-burst",
    "title": "Error burst",
    "description": "Errors for a while.",
    "phases": [
        {"name": "normal", "duration": "5m", "rate": 10},
        {
            "name": "burst",
            "duration": "10m",
            "rate": 10,
            "faults": [{"kind": "errors", "ratio": 0.5}],
        },
        {"name": "recovery", "duration": "10m", "rate": 10},
    ],
    "expected_alerts": [
        {"alert": ALERT, "phase": "burst", "within": "10m", "resolves_within": "20m"}
    ],
    "limits": {"error_ratio": 0.25},
}
HEARTBEAT = LoadedRule(name="Watchdog", query="vector(1)", labels={"severity": "none"})
HEARTBEAT_SPAN = AlertSpan(
    alert="Watchdog",
    labels={"alertname": "Watchdog", "severity": "none"},
    state="firing",
    start=996.0,
    end=1060.0,
)
# At factor 30: normal 1000 to 1010, burst to 1030, recovery to 1050.
PHASES = (("normal", 1000.0, 1010.0), ("burst", 1010.0, 1030.0), ("recovery", 1030.0, 1050.0))


def http_count(status: int, value: int, route: str = PREDICT_ROUTE) -> Count:
    """A counter of answers with one status."""
    labels = {
        "http_request_method": "POST",
        "http_route": route,
        "http_response_status_code": str(status),
    }
    return Count(metric=HTTP_COUNT, labels=labels, value=value)


def make_requests() -> list[Request]:
    """Ten a second; in the burst every second one fails."""
    requests = []
    for number in range(500):
        at = START + number / 10
        fails = 1010 <= at < 1030 and number % 2 == 0
        requests.append(
            Request(
                request_id=f"request-{number}",
                phase=next(name for name, start, end in PHASES if start <= at < end),
                scheduled_at=at,
                sent_at=at + 0.001,
                finished_at=at + 0.011,
                status=500 if fails else 200,
                error=None,
                prediction_id=None if fails else f"prediction-{number}",
            )
        )
    return requests


@dataclass
class World:
    """Everything that a test may break before it asks for the verdict."""

    scenario: dict[str, Any]
    requests: list[Request] = field(default_factory=make_requests)
    labels: list[PostedLabels] = field(
        default_factory=lambda: [PostedLabels(1051.0, 200, (*range(400),))]
    )
    truth_problems: list[str] = field(default_factory=list)
    api: dict[str, list[Count] | None] = field(default_factory=dict)
    prometheus: dict[str, list[Count]] = field(default_factory=dict)
    spans: list[AlertSpan] = field(default_factory=list)
    rules: list[LoadedRule] | None = field(
        default_factory=lambda: [LoadedRule(name=ALERT, for_=4.0)]
    )
    log: LogFacts | None = field(default_factory=lambda: LogFacts(rows=400, labels=400))
    pipeline: Pipeline | None = None
    signals: Signals | None = None
    boards: Boards | None = None
    service: ServiceCounts | None = None
    problems: list[str] = field(default_factory=list)
    notifications: list[ReceivedNotification] = field(default_factory=list)
    drift_runs: list[DriftRun] = field(
        default_factory=lambda: [DriftRun(1040.0, "success", "NO_ACTION", 0.0)]
    )
    timeline: list[StoredEvent] = field(default_factory=list)
    rulehealth: RuleHealth | None = None
    ruletests: RuleTests | None = None
    run: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    replicas: int = 1
    margins: Margins | None = None
    delivery: Delivery | None = None
    logcontent: LogContent | None = None
    heartbeat: bool = True

    def count_by_truth(self) -> list[Count]:
        """What an API would count that saw every answered request."""
        statuses = Counter(r.status for r in self.requests if r.status is not None)
        return [http_count(status, number) for status, number in statuses.items()]

    def notify(self, alert: str, at: float, status: str = "firing", **labels: str) -> None:
        """Let the receiver get a notification."""
        starts = next(
            (n.starts_at for n in self.notifications if n.alert == alert), max(0.0, at - 1.0)
        )
        found = {"alertname": alert, **labels}
        self.notifications.append(
            ReceivedNotification(at, status, alert, found, {}, starts, "default")
        )

    def fire(self, alert: str, start: float, end: float, state: str = "firing") -> None:
        """Let Prometheus hold an alert pending or firing."""
        span = {"alert": alert, "labels": {}, "state": state, "start": start, "end": end}
        self.spans.append(AlertSpan.model_validate(span))

    def silence(self) -> None:
        """Take back all that fired."""
        self.notifications.clear()
        self.spans.clear()

    def evidence(self) -> Evidence:
        """All of it, frozen."""
        run = RunInfo(
            id="run-1", scenario="error-burst", time_scale=FACTOR, without=self.without, seed=7,
            replicas=self.replicas, **self.run,
        )  # fmt: skip
        snapshot = Snapshot(
            evaluation_interval=0.5,
            started_at=995.0,
            ended_at=1060.0,
            api={name: None if own is None else tuple(own) for name, own in self.api.items()},
            prometheus={name: tuple(held) for name, held in self.prometheus.items()},
            spans=(*self.spans, *([HEARTBEAT_SPAN] if self.heartbeat else [])),
            rules=None
            if self.rules is None
            else (*self.rules, *([HEARTBEAT] if self.heartbeat else [])),
            log=self.log,
            pipeline=self.pipeline,
            signals=self.signals,
            boards=self.boards,
            service=self.service,
            margins=self.margins,
            delivery=self.delivery,
            logcontent=self.logcontent,
            rulehealth=self.rulehealth,
            ruletests=self.ruletests,
            problems=tuple(self.problems),
        )
        truth = Truth(
            START, 1052.0, tuple(self.requests), tuple(self.labels), tuple(self.truth_problems)
        )
        return Evidence(
            run=run,
            truth=truth,
            snapshot=snapshot,
            notifications=tuple(self.notifications),
            drift_runs=tuple(self.drift_runs),
            timeline=tuple(self.timeline),
        )

    def case(self) -> Case:
        """What the checks are given."""
        return Case(Scenario.model_validate(self.scenario), self.evidence(), FACTOR)

    def evaluate(self) -> Verdict:
        """The verdict on it."""
        return evaluate(Scenario.model_validate(self.scenario), self.evidence(), FACTOR)

    def failed(self) -> dict[str, str]:
        """Name to summary of the checks that fail."""
        return {check.name: check.summary for check in self.evaluate().failed}


@pytest.fixture
def world() -> World:
    """A run of ``error-burst`` that passes."""
    world = World(deepcopy(SCENARIO))
    counters = [
        http_count(200, 400),
        http_count(500, 100),
        http_count(200, 1, "/labels"),
        Count(
            metric=names.PREDICTION_ERRORS.prometheus, labels={"error_type": "injected"}, value=100
        ),
        Count(metric=names.LOG_ROWS.prometheus, labels={"outcome": "written"}, value=400),
        Count(metric=names.LABELS.prometheus, labels={"outcome": "stored"}, value=400),
    ]
    world.api[INSTANCE] = counters
    world.prometheus[INSTANCE] = list(counters)
    for name, start, end in PHASES:
        world.timeline.append(StoredEvent(start, "phase_started", name, {}))
        world.timeline.append(StoredEvent(end, "phase_ended", name, {}))
    world.fire(ALERT, 1016.0, 1036.0)
    world.notify(ALERT, 1017.0)
    world.notify(ALERT, 1038.0, "resolved")
    return world


def hop(verdict: Verdict, key: str) -> Hop:
    """One row of the loss table."""
    return next(row for row in verdict.hops if row.key == key)


def set_value(counts: list[Count], metric: str, value: int, **labels: str) -> None:
    """Change one counter in place."""
    for index, count in enumerate(counts):
        if count.metric == metric and labels.items() <= count.labels.items():
            counts[index] = count.model_copy(update={"value": value})
            return
    raise AssertionError(f"no counter {metric} {labels}")


def both(world: World) -> list[list[Count]]:
    """The API's counters and Prometheus's."""
    own = world.api[INSTANCE]
    assert own is not None
    return [own, world.prometheus[INSTANCE]]
