"""How alerts were routed: the configured routes, and what Alertmanager held back."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import Field
from testbed_domain.yamlfile import read_mapping
from testbed_otel import names
from testbed_rules.rulefiles import read_rules
from testbed_rules.templates import is_template, names_value
from testbed_rules.timescale import Tree, parse_duration

from testbed.charts import StoredModel
from testbed.errors import StackError, UsageError
from testbed.facts.growth import growth
from testbed.facts.inhibitions import read_inhibitions, wrong_inhibitions
from testbed.facts.routing import misrouted
from testbed.heldback import HeldBack
from testbed.redirection import Redirection
from testbed.resources import shipped_rules
from testbed.routes import read_tree
from testbed.stack.arguments import PROMETHEUS_DURATIONS
from testbed.stack.ownalertmanager import read_redirection
from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.facts.sources import Sources
    from testbed.layout import RunLayout
    from testbed.truth import Json

SETTLED: Final = 3.0
"""Seconds in which what Alertmanager had begun to send has arrived."""

LINES: Final = 20
"""Differences that are stored."""

VALUED: Final = 50
"""Notifications whose value is held against the rule's own."""

_SAME_TEXT: Final = ("status", "labels", "annotations")

_GIVEN_UP: Final = re.compile(r'err="((?:[^"\\]|\\.)*)"')

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1", "receiver"})


class RuleTexts(StoredModel):
    """The templates of a rule: its labels and annotations."""

    alert: str
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ReceiverFacts(StoredModel):
    """A receiver of Alertmanager's configuration.

    Attributes:
        name: as routes name it.
        webhooks: those that post to this machine, so that the receiver records them.
        unresolved: of those, how many don't send the end of an alert.
        others: integrations whose notifications nobody records, e-mail for example.
    """

    name: str
    webhooks: int = 0
    unresolved: int = 0
    others: tuple[str, ...] = ()


class Sent(StoredModel):
    """Webhooks of the run by Alertmanager's own counters, over its restarts.

    Attributes:
        alerts: firing alerts that Prometheus posted to it, repeats counted.
        begun: notifications that it began, without those that may be on their way still.
        failed: notifications that it gave up.
        refused: requests that failed; each may have been recorded and sent again.
        reasons: of those given up.
    """

    alerts: int
    begun: int
    failed: int = 0
    refused: int = 0
    reasons: tuple[str, ...] = ()


class Valued(StoredModel):
    """What a rule's expression gave around a notification."""

    alert: str
    labels: dict[str, str]
    received_at: float
    low: float
    high: float


class Delivery(StoredModel):
    """How alerts were routed: the configured routes, and what Alertmanager held back.

    Attributes:
        route: the rendered route tree as Alertmanager was given it; None where there is none.
        receivers: those of the same file.
        external: labels that Prometheus adds to each alert it sends.
        rules: templates of the rules that fired, were notified, or are expected.
        held: what was held back, by time; None where nobody looked.
        sent: Alertmanager's own counters, or None where Prometheus lacks them.
        values: of rules whose text shows one.
        misrouted: alerts of shipped rules that would not arrive where their severity says, or
            would be held back though they are not meant to be; None where that is unknown.
    """

    route: dict[str, Any] | None = None
    receivers: tuple[ReceiverFacts, ...] = ()
    external: dict[str, str] = Field(default_factory=dict)
    rules: tuple[RuleTexts, ...] = ()
    held: tuple[HeldBack, ...] | None = None
    sent: Sent | None = None
    values: tuple[Valued, ...] = ()
    misrouted: tuple[str, ...] | None = None
    redirection: Redirection | None = None
    failures: tuple[str, ...] = ()


def read_delivery(sources: Sources) -> Delivery:
    """Read them.

    Raises:
        DomainError: they can't be had.
    """
    config = sources.layout.config
    if not (config / "alertmanager.yml").exists():
        return Delivery()
    alertmanager = read_mapping(config / "alertmanager.yml")
    read_tree(alertmanager)  # what can't be read is said now
    notified = list(read_lines(sources.layout.notifications, [], required=False))
    rules = _rules(sources, notified)
    shared = read_mapping(config / "prometheus.yml").get("global") or {}
    external = shared.get("external_labels") or {}
    redirection = read_redirection(sources.layout)
    return Delivery(
        route=alertmanager["route"],
        receivers=tuple(map(_receiver, alertmanager.get("receivers") or ())),
        external={str(name): str(value) for name, value in external.items()},
        rules=tuple(_texts(rule) for rule in rules),
        held=_held(sources.layout),
        sent=None if sources.alertmanager is None else _sent(sources, redirection),
        values=_values(sources, rules, notified, external),
        misrouted=None if redirection else _misrouted(sources, alertmanager),
        redirection=redirection,
        failures=_failures(sources.layout) if redirection else (),
    )


def _misrouted(sources: Sources, alertmanager: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Of shipped rules only: which receivers a user's severities have, nobody knows."""
    if sources.source is None or sources.rules != shipped_rules(sources.source):
        return None
    rules = _all_rules(sources.layout)
    meant = read_inhibitions(read_mapping(sources.source / "alertmanager" / "inhibitions.yml"))
    lines = (*misrouted(alertmanager, rules), *wrong_inhibitions(alertmanager, rules, meant))
    return lines[:LINES]


def _receiver(entry: Mapping[str, Any]) -> ReceiverFacts:
    webhooks = [
        webhook
        for webhook in entry.get("webhook_configs") or ()
        if urlsplit(str(webhook.get("url", ""))).hostname in _HERE
    ]
    others = (key.removesuffix("_configs") for key in entry if key.endswith("_configs"))
    return ReceiverFacts(
        name=str(entry["name"]),
        webhooks=len(webhooks),
        unresolved=sum(webhook.get("send_resolved") is False for webhook in webhooks),
        others=tuple(name for name in others if name != "webhook"),
    )


def _rules(sources: Sources, notified: Iterable[Json]) -> list[Tree]:
    """The alerting rules of the run's own files that anything is known of."""
    span = sources.span
    fired = sources.prometheus.last_values(
        'ALERTS{alertstate="firing"}', at=span.end, window=span.end - span.start
    )
    wanted = {sample.labels.get("alertname") for sample in fired}
    wanted |= {str(line.get("alertname")) for line in notified}
    wanted |= {item.alert for item in sources.scenario.expected_alerts}
    return [rule for rule in _all_rules(sources.layout) if rule["alert"] in wanted]


def _all_rules(layout: RunLayout) -> list[Tree]:
    """The alerting rules of the run's own files, with labels and interval of their groups."""
    try:
        files = read_rules(layout.config / "rules")
    except UsageError:
        return []  # that no rule is loaded is said elsewhere
    groups = [group for document in files.values() for group in document.get("groups") or ()]
    return [
        {**each, "labels": _joined(group, each), "interval": group.get("interval")}
        for group in groups
        for each in group.get("rules") or ()
        if each.get("alert")
    ]


def _joined(group: Tree, rule: Tree) -> dict[str, str]:
    both = {**(group.get("labels") or {}), **(rule.get("labels") or {})}
    return {str(name): str(value) for name, value in both.items()}


def _texts(rule: Tree) -> RuleTexts:
    annotations = {str(k): str(v) for k, v in (rule.get("annotations") or {}).items()}
    return RuleTexts(alert=str(rule["alert"]), labels=rule["labels"], annotations=annotations)


def _held(layout: RunLayout) -> tuple[HeldBack, ...] | None:
    if not layout.held_back.exists():
        return None
    return tuple(HeldBack.model_validate(line) for line in read_lines(layout.held_back, []))


def _failures(layout: RunLayout) -> tuple[str, ...]:
    """What Alertmanager logs of notifications that it gave up, each once."""
    path = layout.logs / "alertmanager.log"
    if not path.exists():
        return ()
    text = path.read_text(encoding="utf-8", errors="replace")
    found = (_GIVEN_UP.search(line) for line in text.splitlines() if "Notify for alerts" in line)
    causes = (" ".join(each[1].replace('\\"', '"').split()) for each in found if each)
    return tuple(dict.fromkeys(causes))[:LINES]


def _sent(sources: Sources, redirection: Redirection | None) -> Sent | None:
    end = sources.span.end

    def counted(metric: str, only: str, *, until: float = end) -> Mapping[str, float] | None:
        """By reason of a failure; None where Prometheus has no such counter."""
        selector = f'alertmanager_{metric}{{job="{names.JOB_ALERTMANAGER}",{only}}}'
        found = growth(sources, selector, until=until)
        totals: Counter[str] = Counter()
        for labels, count in found:
            totals[labels.get("reason", "")] += count
        return totals if found else None

    webhooks = _integrations(redirection)
    # An integration that is not notified of ends is counted with these, and sends nothing.
    total = "notifications_total" if redirection is None else "notification_requests_total"
    begun = counted(total, webhooks, until=end - SETTLED)
    if begun is None:
        return None
    failed = counted("notifications_failed_total", webhooks) or {}
    refused = counted("notification_requests_failed_total", webhooks) or {}
    alerts = counted("alerts_received_total", 'status="firing"') or {}
    again = 0 if redirection is None else sum(refused.values()) - sum(failed.values())
    return Sent(
        alerts=sum(alerts.values()),
        begun=sum(begun.values()) - again,
        failed=sum(failed.values()),
        refused=sum(refused.values()),
        reasons=tuple(sorted(reason for reason, count in failed.items() if reason and count)),
    )


def _integrations(redirection: Redirection | None) -> str:
    """Matcher of the integrations whose every notification is recorded."""
    if redirection is None:
        return 'integration="webhook"'
    silent = {i.integration for i in redirection.integrations if not i.speaks_each_time}
    return f'integration!~"{"|".join(sorted(silent))}"'


def _values(
    sources: Sources,
    rules: Iterable[Tree],
    notified: Iterable[Json],
    external: Mapping[str, Any],
) -> tuple[Valued, ...]:
    """What the rules gave around each notification whose text shows it."""
    shown = [r for r in rules if any(map(names_value, (r.get("annotations") or {}).values()))]
    names_shown = {rule["alert"] for rule in shown}
    # What comes again word for word, as a heartbeat does, is looked at once.
    first: dict[str, Json] = {}
    for line in notified:
        if line["alertname"] in names_shown:
            first.setdefault(repr([line.get(key) for key in _SAME_TEXT]), line)
    lines = list(first.values())
    found = []
    for line in lines[:VALUED]:
        for rule in shown:
            if not _may_be_of(rule, line):
                continue
            apart = {"alertname", "__name__", *rule["labels"], *external}
            values = _around(sources, rule, line, apart)
            if values:
                found.append(
                    Valued(
                        alert=line["alertname"],
                        labels=line["labels"],
                        received_at=line["received_at"],
                        low=min(values),
                        high=max(values),
                    )
                )
    return tuple(found)


def _may_be_of(rule: Tree, line: Json) -> bool:
    fixed = {k: v for k, v in rule["labels"].items() if not is_template(v)}
    return bool(rule["alert"] == line["alertname"] and fixed.items() <= line["labels"].items())


def _around(sources: Sources, rule: Tree, line: Json, apart: set[str]) -> list[float]:
    """Values of the alert's own series when the text of a notification was rendered."""

    def identity(labels: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in labels.items() if name not in apart}

    step = parse_duration(str(rule["interval"])) if rule["interval"] else sources.span.step
    last = float(line["received_at"] if line.get("ends_at") is None else line["ends_at"])
    retained = parse_duration(str(rule.get("keep_firing_for") or "0"))
    resent = sources.real(parse_duration(PROMETHEUS_DURATIONS["rules.alert.resend-delay"]))
    first = last - resent - 4 * step - 1.0 - retained
    try:
        series = sources.prometheus.query_range(str(rule["expr"]), first, last + step, step / 2)
    except StackError:
        return []  # a rule that can't be evaluated is reported as such
    wanted = identity(line["labels"])
    return [v for each in series if identity(each.labels) == wanted for _, v in each.points]
