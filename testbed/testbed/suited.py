"""Which of the scenarios that ship can be played on a service of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_rules.rulefiles import read_rules

from testbed.alertneeds import alert_labels, refuse_unknown_alerts
from testbed.errors import UsageError
from testbed.facts.configured import groups_in
from testbed.faultrefusals import refuse_faults
from testbed.resources import shipped_rules
from testbed.servicerules import without_bundled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.scenario import Scenario
    from testbed.targets import TargetModel


def not_suited(scenario: Scenario, target: TargetModel | None, use_case: str) -> str | None:
    """Why a scenario can't be played on a service; None where it can, or there is none.

    Args:
        scenario: one of those that ship.
        target: the service.
        use_case: whose rows would be sent.

    Raises:
        UsageError: a rules file of the service can't be read.
    """
    if target is None:
        return None
    try:
        target.refuse(scenario)
        refuse_faults(scenario, target, frozenset())
        target.require_use_case(use_case)
        refuse_unknown_alerts(scenario, _alerts(target), own_rules=True)
    except UsageError as error:
        return " ".join(str(error).split("\n"))
    return None


def _alerts(target: TargetModel) -> dict[str, list[Mapping[str, str]]]:
    """Alerts of the rules that are loaded: its own, and the shipped ones but for the API's."""
    shipped = {
        name: without_bundled(document) for name, document in read_rules(shipped_rules()).items()
    }
    own = {} if target.own_rules is None else read_rules(target.own_rules)
    return alert_labels((*groups_in(shipped), *groups_in(own)))
