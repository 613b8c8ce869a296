"""Which of the scenarios that ship can be played on a service of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_rules.rulefiles import read_rules

from testbed.alertneeds import refuse_unknown_alerts
from testbed.errors import UsageError
from testbed.faultrefusals import refuse_faults
from testbed.resources import shipped_rules
from testbed.servicerules import of_bundled_api

if TYPE_CHECKING:
    from testbed.scenario import Scenario
    from testbed.targets import TargetModel


def not_suited(scenario: Scenario, target: TargetModel | None) -> str | None:
    """Why a scenario can't be played on a service; None where it can, or there is none.

    Raises:
        UsageError: a rules file of the service can't be read.
    """
    if target is None:
        return None
    try:
        target.refuse(scenario)
        refuse_faults(scenario, target, frozenset())
        refuse_unknown_alerts(scenario, _alerts(target), own_rules=True)
    except UsageError as error:
        return " ".join(str(error).split("\n"))
    return None


def _alerts(target: TargetModel) -> frozenset[str]:
    """Alerts of the rules that are loaded: its own, and the shipped ones but for the API's."""
    files = list(read_rules(shipped_rules()).values())
    if target.own_rules is not None:
        files += read_rules(target.own_rules).values()
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return frozenset(r["alert"] for r in rules if "alert" in r and not of_bundled_api(r))
