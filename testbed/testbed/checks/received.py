"""What each receiver got: messages of integrations, and the alerts of each. Pure.

A message says little but its text. Which alerts it is about, its receiver's witness says: the
webhook of the same flush, by the id of the trace, else by the group, the alert's name, the time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from testbed_receiver.integrations.base import key_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from testbed.checks.contract import NotifiedContract
    from testbed.records import ReceivedMessage, ReceivedNotification
    from testbed.redirection import RedirectedIntegration

APART: Final = 5.0
"""Seconds that two requests of one flush may be apart on a busy machine."""


@dataclass(frozen=True)
class ReceiverFlush:
    """One notification of a group to a receiver, as its witness got it.

    Attributes:
        receiver: name.
        alerts: all of it.
    """

    receiver: str
    alerts: tuple[ReceivedNotification, ...]

    @property
    def at(self) -> float:
        """Unix time of arrival."""
        return self.alerts[0].received_at

    @property
    def trace(self) -> str:
        """Id of its trace."""
        return self.alerts[0].trace

    @cached_property
    def group(self) -> str:
        """Hash of its group's key."""
        return key_hash(self.alerts[0].group_key)

    @cached_property
    def firing(self) -> frozenset[frozenset[tuple[str, str]]]:
        """The alerts that fire."""
        return frozenset(
            frozenset(each.labels.items()) for each in self.alerts if each.status == "firing"
        )

    def fires(self, alert: str, labels: Mapping[str, str]) -> bool:
        """Whether it says that an alert with these labels fires."""
        wanted = {**labels, "alertname": alert}.items()
        return any(wanted <= set(each) for each in self.firing)


@dataclass(frozen=True, slots=True)
class AttributedMessage:
    """A text at a receiver, and the flush that it is of; None where nobody knows."""

    text: str
    at: float
    status: str
    flush: ReceiverFlush | None


def flushes(notifications: Iterable[ReceivedNotification]) -> tuple[ReceiverFlush, ...]:
    """Notifications of groups, by time."""
    found: dict[tuple[str, str, float], list[ReceivedNotification]] = defaultdict(list)
    for each in notifications:
        number = each.received_at if each.delivery is None else float(each.delivery)
        found[each.receiver, each.group_key, number].append(each)
    return tuple(
        sorted(
            (ReceiverFlush(receiver, tuple(alerts)) for (receiver, _, _), alerts in found.items()),
            key=lambda flush: flush.at,
        )
    )


def flush_of(message: ReceivedMessage, known: Iterable[ReceiverFlush]) -> ReceiverFlush | None:
    """The flush of a message, of those of its receiver."""

    def apart(flush: ReceiverFlush) -> float:
        return abs(flush.at - message.received_at)

    mine = [flush for flush in known if flush.receiver == message.receiver]
    if traced := [flush for flush in mine if flush.trace and flush.trace == message.trace]:
        return min(traced, key=apart)
    near = [flush for flush in mine if apart(flush) <= APART]
    same = [flush for flush in near if message.group and flush.group.startswith(message.group)]
    named = [flush for flush in near if any(each.alert in message.text for each in flush.alerts)]
    return min(same or named or near, key=apart, default=None)


@dataclass(frozen=True)
class ReceivedTexts:
    """All that the receivers of a run got.

    Attributes:
        contract: of the run.
    """

    contract: NotifiedContract

    @cached_property
    def flushes(self) -> tuple[ReceiverFlush, ...]:
        """Of all receivers, by time."""
        return flushes(self.contract.case.evidence.notifications)

    @cached_property
    def by_integration(self) -> dict[tuple[str, str, int], list[AttributedMessage]]:
        """Messages of each integration of each receiver, by time."""
        found: dict[tuple[str, str, int], list[AttributedMessage]] = defaultdict(list)
        for each in self.contract.case.evidence.messages:
            flush = flush_of(each, self.flushes)
            attributed = AttributedMessage(each.text, each.received_at, each.status, flush)
            found[each.receiver, each.integration, each.index].append(attributed)
        return found

    def at(self, receiver: str) -> Iterator[tuple[str, list[AttributedMessage]]]:
        """What each recorded integration of a receiver got, by its name.

        Without integrations of a user's own, that is the webhook with the alerts' annotations; of
        those that are not recorded, the same without texts.
        """
        recorded = [each for each in self.integrations(receiver) if not each.problem]
        for each in recorded:
            key = (each.receiver, each.integration, each.index)
            yield f"{each.integration}[{each.index}]", self.by_integration.get(key, [])
        if not recorded:
            mine = [flush for flush in self.flushes if flush.receiver == receiver]
            yield "webhook", [AttributedMessage(_annotations(f), f.at, "", f) for f in mine]

    def recorded(self, receiver: str) -> bool:
        """Whether what is rendered for a user's own receiver is recorded."""
        return any(not each.problem for each in self.integrations(receiver))

    def integrations(self, receiver: str) -> tuple[RedirectedIntegration, ...]:
        """Those of a user's own receiver."""
        redirection = self.contract.delivery.redirection
        return () if redirection is None else redirection.of(receiver)


def due(
    integration: RedirectedIntegration, known: Iterable[ReceiverFlush]
) -> Iterator[ReceiverFlush]:
    """The flushes of a receiver that an integration must have brought a message of.

    One that is not notified of ends need not speak where nothing fires that did not before, since
    the whole group was silent.
    """
    fired: dict[str, frozenset[frozenset[tuple[str, str]]]] = {}
    for flush in known:
        before = fired.get(flush.group, frozenset())
        fired[flush.group] = before | flush.firing if flush.firing else frozenset()
        if integration.resolved:
            spoken = bool(flush.firing) or integration.speaks_each_time
        else:
            spoken = bool(flush.firing - before)
        if spoken:
            yield flush


def _annotations(flush: ReceiverFlush) -> str:
    return "\n".join(text for each in flush.alerts for text in each.annotations.values())
