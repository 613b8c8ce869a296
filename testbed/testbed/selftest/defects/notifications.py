"""What goes wrong between a firing alert and the person who should hear of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed.checks.stages import Stage
from testbed.planting import Planting
from testbed.selftest import edits
from testbed.selftest.defect import Defect
from testbed.selftest.defects.patched import patched

if TYPE_CHECKING:
    from testbed.runoptions import RunOptions
    from testbed.selftest.edits import Edit, Tree

BROUGHT: Final = Path(edits.__file__).with_name("brought")
"""What a user brings: routes, and rules of a service."""
ALERT: Final = "HighErrorRate"
COPIES: Final = 20


def _routed(name: str, what: str, change: Any) -> Defect:  # noqa: ANN401 - a change of a tree
    planting = Planting(edit=edits.alertmanager(change))
    return Defect(name, what, "quick-errors", (Stage.ROUTE,), planting)


def _ruled(name: str, what: str, edit: Edit) -> Defect:
    planting = Planting(source=edits.below("prometheus", edit))
    return Defect(name, what, "quick-errors", (Stage.RULE,), planting)


def _to_critical(tree: Tree) -> None:
    for route in tree["route"]["routes"]:
        route["receiver"] = "critical"


def _unresolved(tree: Tree) -> None:
    for receiver in tree["receivers"]:
        for webhook in receiver["webhook_configs"]:
            webhook["send_resolved"] = False


def _twenty_times(tree: Tree) -> None:
    for receiver in tree["receivers"]:
        receiver["webhook_configs"] *= COPIES


def _to_nobody(tree: Tree) -> None:
    for receiver in tree["receivers"]:
        if receiver["name"] == "warning":
            receiver["webhook_configs"] = []


def _repeating(tree: Tree) -> None:
    tree["route"] |= {"group_interval": "1s", "repeat_interval": "1s"}


def _muted(tree: Tree) -> None:
    tree["time_intervals"] = [{"name": "always", "time_intervals": [{"months": ["1:12"]}]}]
    for route in tree["route"]["routes"]:
        route["mute_time_intervals"] = ["always"]


def _inhibited(tree: Tree) -> None:
    tree["inhibit_rules"] = [
        {
            "source_matchers": ['alertname="SlowInference"'],
            "target_matchers": ['severity="warning"'],
        }
    ]


def _waiting(tree: Tree) -> None:
    tree["route"]["group_wait"] = "30s"


_make = patched("receiver", "receiver", "quick-errors", Stage.RECEIVER)


def _critical_lost(tree: Tree) -> None:
    for route in tree["route"]["routes"]:
        if route["receiver"] == "critical":
            route["matchers"] = ['severity="critcal"']


def _critical_inhibited(tree: Tree) -> None:
    tree["inhibit_rules"].append(
        {
            "source_matchers": ['severity="warning"'],
            "target_matchers": ['severity="critical"'],
            "equal": [],
        }
    )


def _warnings_inhibited(tree: Tree) -> None:
    tree["inhibit_rules"].append(
        {
            "source_matchers": ['alertname="HighLatency"'],
            "target_matchers": ['severity="warning"'],
            "equal": [],
        }
    )


def _inhibited_everywhere(tree: Tree) -> None:
    tree["inhibit_rules"][0]["equal"] = []


def _idle(name: str, what: str, change: Any) -> Defect:  # noqa: ANN401 - a change of a tree
    """A defect of routes for alerts that the run does not make fire."""
    return Defect(name, what, "quick", (Stage.ROUTE,), Planting(edit=edits.alertmanager(change)))


def _heartbeat_unrouted(tree: Tree) -> None:
    routes = tree["route"]["routes"]
    tree["route"]["routes"] = [each for each in routes if each["receiver"] != "heartbeat"]


def _no_alertmanager(tree: Tree) -> None:
    tree["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = []


def _no_critical(tree: Tree) -> None:
    tree["route"]["routes"][0]["matchers"] = ['severity="critcal"']


def _to_the_chat(tree: Tree) -> None:
    tree["route"]["routes"][0]["receiver"] = "chat"


def _not_inhibited(tree: Tree) -> None:
    del tree["inhibit_rules"]


def _own(name: str, what: str, change: Any) -> Defect:  # noqa: ANN401 - a change of a tree
    """A mistake in routes of a user's own."""

    def brings(options: RunOptions, folder: Path) -> RunOptions:
        shutil.copytree(BROUGHT, folder)
        edits.alertmanager(change)(folder)
        return replace(options, alertmanager=folder / "alertmanager.yml")

    return Defect(name, what, "quick-pages", (Stage.ROUTE,), brings=brings)


NOTIFICATIONS: Final = (
    _own("own-route-wrong", "The route of a user's own that pages has a typo.", _no_critical),
    _own("own-receiver-wrong", "The route that pages leads to the chat.", _to_the_chat),
    _own("own-inhibition-gone", "The inhibition of a user's own is gone.", _not_inhibited),
    _routed("route-to-critical", "Warnings go to the receiver `critical`.", _to_critical),
    _routed("route-never-resolves", "`send_resolved` is false.", _unresolved),
    _routed("route-twenty-times", "Each notification is sent twenty times.", _twenty_times),
    _routed("route-to-nobody", "The receiver `warning` has no address.", _to_nobody),
    _routed("route-repeats", "Notifications are repeated every second.", _repeating),
    _routed("route-muted", "A time interval mutes every route, always.", _muted),
    _routed("route-waits", "`group_wait` is 30 s of real time.", _waiting),
    Defect(
        "route-inhibits",
        "SlowInference inhibits every other warning.",
        "slow-model",
        (Stage.ROUTE,),
        Planting(edit=edits.alertmanager(_inhibited)),
    ),
    _ruled("rule-summary-empty", "The summary is empty.", edits.annotation(ALERT, "summary", "")),
    _ruled(
        "rule-template-error",
        "The description calls a template that does not exist.",
        edits.annotation(ALERT, "description", '{{ template "nope" . }}'),
    ),
    _ruled(
        "rule-label-missing",
        "The description names a label that the alert does not have.",
        edits.annotation(ALERT, "description", "{{ $labels.endpoint }} fails {{ $value }} times."),
    ),
    _ruled(
        "rule-value-missing",
        "The description has lost its values.",
        edits.annotation(ALERT, "description", "Something is wrong."),
    ),
    _ruled(
        "rule-severity-wrong",
        "The severity is `info`, which no route knows.",
        edits.label(ALERT, "severity", "info"),
    ),
    _make("resolved_lost", "The receiver drops notifications of resolved alerts."),
    _make("all_lost", "The receiver drops all notifications."),
    _make("annotations_lost", "The receiver drops annotations.", Stage.RECEIVER, Stage.RULE),
    _idle(
        "route-critical-typo",
        "The route of critical alerts has a typo, and none of them fires.",
        _critical_lost,
    ),
    _idle("heartbeat-unrouted", "The heartbeat has no route of its own.", _heartbeat_unrouted),
    Defect(
        "heartbeat-unsent",
        "Prometheus knows no Alertmanager.",
        "quick",
        (Stage.ROUTE, Stage.RULE),  # the alert that says so may fire before the end
        Planting(edit=edits.prometheus(_no_alertmanager)),
    ),
    _idle(
        "route-critical-inhibited",
        "Any warning would inhibit critical alerts, and none of them fires.",
        _critical_inhibited,
    ),
    _idle(
        "route-warnings-inhibited",
        "HighLatency would inhibit every other warning, and none of them fires.",
        _warnings_inhibited,
    ),
    _idle(
        "route-inhibits-everywhere",
        "A shipped inhibition has lost its `equal`, and none of its alerts fires.",
        _inhibited_everywhere,
    ),
)
