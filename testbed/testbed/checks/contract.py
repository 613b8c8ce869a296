"""What notifications a run owed: alerts that fired in Prometheus, and whom their routes name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from testbed_rules.timescale import format_duration

from testbed.checks.stages import Stage
from testbed.facts.delivery import SETTLED
from testbed.heartbeat import receiver_of
from testbed.heldback import described
from testbed.routes import Route, read_tree
from testbed.timeline import BACK, GONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from testbed.checks.case import Case
    from testbed.facts.delivery import Delivery, ReceiverFacts, Sent
    from testbed.heldback import HeldAlert
    from testbed.records import ReceivedNotification
    from testbed.scenario import ExpectedAlert

BUSY: Final = 5.0
"""Real seconds that a busy machine may take from an evaluation to a recorded notification."""

IN_FLIGHT: Final = 1.0
"""Real seconds that a webhook may take from Alertmanager to its record."""

Identity = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fired, with the pauses that Alertmanager need not have noticed.

    Attributes:
        alert: its name.
        labels: all of them, as notifications must bear them.
        spans: when it fired, in Unix seconds.
    """

    alert: str
    labels: dict[str, str]
    spans: tuple[tuple[float, float], ...]

    @property
    def identity(self) -> Identity:
        """What distinguishes alerts."""
        return frozenset(self.labels.items())

    @property
    def start(self) -> float:
        """Since when."""
        return self.spans[0][0]

    @property
    def end(self) -> float:
        """Until when."""
        return self.spans[-1][1]

    @property
    def longest(self) -> float:
        """For how many seconds at a stretch."""
        return max(end - start for start, end in self.spans)

    def __str__(self) -> str:
        return described(self.labels)


@dataclass(frozen=True)
class NotifiedContract:
    """A case seen from its notifications.

    Attributes:
        case: the case.
        delivery: how alerts were routed.
        tree: the rendered routes.
    """

    case: Case
    delivery: Delivery
    tree: Route

    def step(self, labels: Mapping[str, str]) -> float:
        """Real seconds between two evaluations of an alert."""
        return self.case.evidence.snapshot.interval(labels.get("alertname", ""))

    def slack(self, labels: Mapping[str, str]) -> float:
        """Real seconds between a cause and its notification, besides Alertmanager's own times."""
        return BUSY + 2 * self.step(labels) + self._outage

    @cached_property
    def _outage(self) -> float:
        """Real seconds in which Alertmanager or receiver were gone, and to get going again."""
        gone: dict[str, float] = {}
        outage = 0.0
        for event in self.case.evidence.timeline:
            if event.name not in {"alertmanager", "receiver"}:
                continue
            if event.event in GONE:
                gone.setdefault(event.name, event.time)
            elif event.event in {*BACK, "component_ready"} and event.name in gone:
                # What a fault starts again is not waited for, so nobody says when it is ready.
                outage += event.time - gone.pop(event.name)
                outage += max(node.group_interval for node in self.tree.walk())
        return outage

    @cached_property
    def firings(self) -> tuple[Firing, ...]:
        """What fired, by time."""
        spans: dict[Identity, list[tuple[float, float]]] = {}
        for span in self.case.evidence.snapshot.spans:
            if span.state == "firing":
                labels = {**self.delivery.external, **span.labels}
                spans.setdefault(frozenset(labels.items()), []).append((span.start, span.end))
        firings: list[Firing] = []
        for identity, found in spans.items():
            labels = dict(identity)
            pause = self.interval(labels) + self.slack(labels)
            firings += (
                Firing(labels.get("alertname", ""), labels, together)
                for together in _joined(sorted(found), pause)
            )
        return tuple(sorted(firings, key=lambda firing: firing.start))

    @cached_property
    def notified(self) -> dict[Identity, list[ReceivedNotification]]:
        """Notifications of each alert, by time."""
        found: dict[Identity, list[ReceivedNotification]] = {}
        for item in self.case.evidence.notifications:
            found.setdefault(frozenset(item.labels.items()), []).append(item)
        return found

    @cached_property
    def receivers(self) -> dict[str, ReceiverFacts]:
        """The receivers of the configuration by name."""
        return {receiver.name: receiver for receiver in self.delivery.receivers}

    def interval(self, labels: dict[str, str]) -> float:
        """The longest real time between two notifications of a group that changed."""
        return max(leaf.group_interval for leaf in self.tree.leaves(labels))

    def wait(self, firing: Firing) -> float:
        """Real seconds in which Alertmanager must notify it first: of a living group, longer."""
        return max(seconds for _, seconds in self.waits(firing)) + self.slack(firing.labels)

    def waits(self, firing: Firing) -> Iterator[tuple[str, float]]:
        """The setting of each of its routes that it waits for, and its real seconds."""
        slack = self.slack(firing.labels)
        for leaf in self.tree.leaves(firing.labels):
            group = leaf.group(firing.labels)
            alive = any(
                other is not firing
                and other.start <= firing.end
                and other.end + leaf.group_interval + slack >= firing.start
                and leaf in self.tree.leaves(other.labels)
                and leaf.group(other.labels) == group
                for other in self.firings
            )
            if alive:
                yield "group_interval", leaf.group_interval
            else:
                yield "group_wait", leaf.group_wait

    def lasted(self, firing: Firing) -> bool:
        """Whether it fired so long at a stretch that Alertmanager must have notified it."""
        return firing.longest > self.wait(firing)

    def routed(self, labels: dict[str, str]) -> tuple[str, ...]:
        """Names of the receivers that the routes give."""
        return tuple(dict.fromkeys(leaf.receiver for leaf in self.tree.leaves(labels)))

    @property
    def own(self) -> bool:
        """Whether routes and receivers are the user's own."""
        return self.delivery.redirection is not None

    def route_text(self, labels: dict[str, str]) -> str:
        """The receivers that the routes give, each with the matchers that lead there."""
        found: dict[str, str] = {}
        for leaf in self.tree.leaves(labels):
            by = ", ".join(map(str, leaf.matchers)) or "the root route"
            found.setdefault(leaf.receiver, f"{leaf.receiver} (by {by})")
        return " and ".join(found.values())

    def recorded(self, name: str) -> bool:
        """Whether what this receiver gets is recorded."""
        return name in self.receivers and self.receivers[name].webhooks > 0

    def expectations(
        self, labels: Mapping[str, str], began: float | None = None
    ) -> tuple[ExpectedAlert, ...]:
        """What the scenario says of an alert with these labels.

        Args:
            labels: all of them.
            began: since when it fires: then only what is said of the latest phase that had begun.
        """
        mine = [
            item
            for item in self.case.scenario.expected_alerts
            if item.alert == labels.get("alertname") and item.labels.items() <= labels.items()
        ]
        if began is None:
            return tuple(mine)
        starts = [(p.start, item) for item in mine if (p := self.case.phase(item.phase))]
        latest = max((start for start, _ in starts if start <= began), default=None)
        return tuple(item for start, item in starts if start == latest)

    def due(self, labels: dict[str, str]) -> frozenset[str] | None:
        """Receivers that an alert must reach by another witness than the routes; None: unknown.

        That is the scenario, else the project's convention for its own rules: each severity has
        its receiver.
        """
        named = {e.receiver for e in self.expectations(labels) if e.receiver}
        if named:
            return frozenset(named)
        severity = labels.get("severity")
        if self.own or self.case.evidence.run.custom_rules or not severity:
            return None
        return frozenset({receiver_of(severity)})

    def held_by(self, labels: dict[str, str]) -> str:
        """Who held an alert back, in words; an empty text where nobody is known to have."""
        return held_by(self.delivery, lambda held: held.labels == labels)


def contract_of(case: Case) -> NotifiedContract | None:
    """The contract of a case; None where the routes are not known."""
    delivery = case.evidence.snapshot.delivery
    if delivery is None or delivery.route is None:
        return None
    return NotifiedContract(case, delivery, read_tree({"route": delivery.route}))


def held_by(delivery: Delivery, wanted: Callable[[HeldAlert], bool]) -> str:
    """Who held back the alerts that are wanted."""
    kinds = {
        "inhibited": "inhibited by",
        "silenced": "silenced by the silence",
        "muted": "muted by the time interval",
        "unknown": "suppressed by Alertmanager",
    }
    found = [
        f"{kinds[held.kind]} {held.by}".strip()
        for line in delivery.held or ()
        for held in line.held
        if wanted(held)
    ]
    return " and ".join(dict.fromkeys(found))


def why_not_notified(case: Case, alert: str) -> tuple[Stage, str]:
    """The link at which a notification of an alert that fired was lost, and why, if known."""
    delivery = case.evidence.snapshot.delivery
    if delivery is None:
        return Stage.ROUTE, ""
    by = held_by(delivery, lambda held: held.labels.get("alertname") == alert)
    if by:
        return Stage.ROUTE, f"Alertmanager held it back: it was {by}"
    return (Stage.ROUTE, "") if delivery.sent is None else _lost(case, delivery.sent)


def _lost(case: Case, sent: Sent) -> tuple[Stage, str]:
    """Where Alertmanager's own counters say that a notification was lost."""
    if sent.failed:
        given = case.evidence.snapshot.delivery
        why = (given.failures if given else ()) or sent.reasons
        reasons = f" ({', '.join(why)})" if why else ""
        many = "1 notification" if sent.failed == 1 else f"{sent.failed} notifications"
        return Stage.RECEIVER, f"Alertmanager could not deliver {many}{reasons}"
    if (lost := undelivered(case)) > 0:
        return Stage.RECEIVER, f"Alertmanager sent {lost} webhooks that were not recorded"
    if not sent.alerts:
        return Stage.ROUTE, "Alertmanager got no firing alert from Prometheus"
    return Stage.ROUTE, ""


def deliveries(case: Case) -> int | None:
    """Webhooks and messages that the receiver recorded; None where records don't distinguish them.

    Those of heartbeats never end: what came after Alertmanager's counters were read is left out.
    """
    notifications = (*case.evidence.notifications, *case.evidence.earlier)
    if any(item.delivery is None for item in notifications):
        return None
    counted = case.evidence.snapshot.ended_at - SETTLED + IN_FLIGHT
    webhooks = {
        n.delivery
        for n in notifications
        if n.received_at <= counted or n.alert not in case.heartbeats
    }
    # Which messages are of heartbeats, most of them don't say.
    return len(webhooks) + sum(each.received_at <= counted for each in case.evidence.messages)


def undelivered(case: Case) -> int:
    """Webhooks that Alertmanager sent for good and the receiver lacks."""
    delivery = case.evidence.snapshot.delivery
    recorded = deliveries(case)
    if delivery is None or delivery.sent is None or recorded is None:
        return 0
    return delivery.sent.begun - delivery.sent.failed - recorded


def span_text(case: Case, real: float) -> str:
    """A real time with its production time."""
    production = format_duration(max(0.0, float(round(real * case.factor))))
    return f"{real:.1f} s ({production} of production time)"


def _joined(
    spans: Iterable[tuple[float, float]], pause: float
) -> list[tuple[tuple[float, float], ...]]:
    groups: list[list[tuple[float, float]]] = []
    for span in spans:
        if groups and span[0] - groups[-1][-1][1] <= pause:
            groups[-1].append(span)
        else:
            groups.append([span])
    return [tuple(group) for group in groups]
