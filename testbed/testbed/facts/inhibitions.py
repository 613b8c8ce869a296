"""Which alerts hold back which, against what is meant to. Pure.

An inhibition shows only where both of its alerts fire at once, which few runs do. So every pair of
the rules' alerts is tried against the configured inhibitions. What they may do stands in
``alertmanager/inhibitions.yml`` once more; any other alert that would be muted is one that somebody
should have heard of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from testbed.routes import listed_matchers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from testbed_rules.timescale import Tree

    from testbed.routes import RouteMatcher

Labels = dict[str, str]
SIDES: Final = ("source_", "target_")


class Inhibition(NamedTuple):
    """One alert that holds back another.

    Attributes:
        alert: that is held back.
        by: the alert that does it.
        equal: labels in which both must agree.
    """

    alert: str
    by: str
    equal: frozenset[str]


def read_inhibitions(document: Mapping[str, Any]) -> frozenset[Inhibition]:
    """Those that are meant, by ``inhibitions.yml``."""
    return frozenset(
        Inhibition(
            str(each["alert"]), str(each["by"]), frozenset(map(str, each.get("equal") or ()))
        )
        for each in document.get("inhibitions") or ()
    )


def wrong_inhibitions(
    document: Mapping[str, Any], rules: Iterable[Tree], meant: frozenset[Inhibition]
) -> Iterator[str]:
    """How what is held back differs from what is meant to be, one line each.

    Args:
        document: Alertmanager's configuration.
        rules: alerting rules, with the labels of their groups in ``labels``.
        meant: by :func:`read_inhibitions`.

    Raises:
        UsageError: a matcher can't be read.
    """
    alerts = [_known(rule) for rule in rules]
    found = dict.fromkeys(_configured(document, alerts))
    for alert, by, equal in found:
        if Inhibition(alert, by, equal) not in meant:
            yield f"{alert} would be held back while {by} fires{_where(equal)}"
    there = {labels["alertname"] for labels in alerts}
    for alert, by, equal in sorted(meant.difference(found)):
        if {alert, by} <= there:
            yield f"{alert} would not be held back while {by} fires{_where(equal)}"


def _known(rule: Tree) -> Labels:
    """The labels that every alert of a rule bears."""
    fixed = {name: value for name, value in rule["labels"].items() if "{{" not in value}
    return {**fixed, "alertname": str(rule["alert"])}


def _configured(document: Mapping[str, Any], alerts: list[Labels]) -> Iterator[Inhibition]:
    """What the configured rules may hold back.

    An alert that fits both sides of a rule is not held back by another that does.
    """
    for rule in document.get("inhibit_rules") or ():
        sources, targets = (tuple(listed_matchers(rule, side)) for side in SIDES)
        equal = frozenset(map(str, rule.get("equal") or ()))
        for target in alerts:
            for source in alerts:
                if (
                    _may_match(sources, source)
                    and _may_match(targets, target)
                    and not (_must_match(targets, source) and _must_match(sources, target))
                ):
                    yield Inhibition(target["alertname"], source["alertname"], equal)


def _may_match(matchers: Iterable[RouteMatcher], labels: Labels) -> bool:
    """Whether an alert can fit, whatever its other labels are."""
    return all(each.matches(labels) for each in matchers if each.name in labels)


def _must_match(matchers: Iterable[RouteMatcher], labels: Labels) -> bool:
    """Whether an alert fits in any case."""
    return all(each.name in labels and each.matches(labels) for each in matchers)


def _where(equal: frozenset[str]) -> str:
    return f" with the same {', '.join(sorted(equal))}" if equal else ", wherever it is"
