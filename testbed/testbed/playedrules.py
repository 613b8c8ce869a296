"""The rules that a run plays, and what of its scenario can't come of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.alertneeds import alert_labels, refuse_unknown_alerts
from testbed.assertedneeds import refuse_unmet
from testbed.facts.configured import read_groups
from testbed.resources import shipped_rules
from testbed.rulecheck import write_rules
from testbed.servicerules import write_service_rules

if TYPE_CHECKING:
    from testbed_rules.scaling import FittingRules

    from testbed.layout import RunLayout
    from testbed.runoptions import RunOptions
    from testbed.scenario import Scenario
    from testbed.targets import TargetModel
    from testbed.usecasechoice import Say


def with_rules(
    options: RunOptions, target: TargetModel, layout: RunLayout, fitting: FittingRules, say: Say
) -> RunOptions:
    """With the rules that are played: the user's, as far as they can be.

    Another target's own rules stand beside the shipped ones, but for those of the API.
    """
    folder = layout.root / "rules"
    given = options.rules or target.own_rules
    if options.rules is not None:
        write_rules(folder, fitting.files)
    elif not target.instrumented:
        left_out = write_service_rules(shipped_rules(), fitting.files, folder)
        say(f"rules: without those of the bundled API: {', '.join(left_out)}")
    else:
        return options
    aside = tuple(str(note) for note in fitting.aside)
    named = None if given is None else str(given)
    return replace(options, rules=folder, rules_given=named, rules_aside=aside)


def refuse_by_rules(scenario: Scenario, options: RunOptions) -> None:
    """Refuse what can't come of the rules that are played, and of the components that run."""
    folder = options.rules or shipped_rules()
    refuse_unmet(scenario, folder, options.without)
    groups = read_groups(folder)
    refuse_unknown_alerts(
        scenario,
        alert_labels(groups),
        own_rules=options.rules is not None,
        aside=options.rules_aside,
    )
