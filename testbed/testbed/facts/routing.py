"""Where the routes lead the alerts that a run does not make fire. Pure.

A notification shows the way of its own alert only. The project's convention says of every shipped
rule where it must arrive: each severity has the receiver of its name, ``none`` that of heartbeats.
A critical alert is never inhibited, since whatever else fires, somebody has to hear of it, and
neither is a heartbeat, whose silence calls somebody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testbed.heartbeat import always_fires, receiver_of
from testbed.routes import parse_matchers, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from testbed.timescale import Tree

CRITICAL: Final = "critical"


def misrouted(document: Mapping[str, Any], rules: Iterable[Tree]) -> tuple[str, ...]:
    """Alerts that don't arrive where their severity says, one line each.

    Args:
        document: Alertmanager's configuration.
        rules: alerting rules, with the labels of their groups in ``labels``.

    Raises:
        UsageError: the routes can't be read.
    """
    tree = read_tree(document)
    lines: dict[str, None] = {}
    for rule in rules:
        labels = {"alertname": str(rule["alert"]), **rule["labels"]}
        severity = labels.get("severity")
        if not severity or any("{{" in value for value in labels.values()):
            continue
        receivers = {leaf.receiver for leaf in tree.leaves(labels)}
        due = receiver_of(severity)
        if receivers != {due}:
            found = " and ".join(sorted(receivers)) or "nobody"
            lines[f"{rule['alert']} of severity {severity} would reach {found}, not {due}"] = None
        if severity == CRITICAL or always_fires(str(rule["expr"])):
            lines |= dict.fromkeys(_inhibited(document, labels))
    return tuple(lines)


def _inhibited(document: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[str]:
    """Rules that inhibit an alert by the labels that are known of it."""
    for rule in document.get("inhibit_rules") or ():
        matchers = [
            matcher
            for text in rule.get("target_matchers") or ()
            for matcher in parse_matchers(str(text))
        ]
        known = [matcher for matcher in matchers if matcher.name in labels]
        if known and len(known) == len(matchers) and all(m.matches(labels) for m in known):
            source = ", ".join(map(str, rule.get("source_matchers") or ()))
            yield (
                f"{labels['alertname']} of severity {labels['severity']} would be held back while "
                f"an alert with {source} fires"
            )
