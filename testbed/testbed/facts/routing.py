"""Where the routes lead the alerts that a run does not make fire. Pure.

A notification shows the way of its own alert only. The project's convention says of every shipped
rule where it must arrive: each severity has the receiver of its name, ``none`` that of heartbeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.heartbeat import receiver_of
from testbed.routes import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed_rules.timescale import Tree


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
    return tuple(lines)
