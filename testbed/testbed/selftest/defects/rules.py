"""Rules that are missing, idle, broken or off their limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.stages import Stage
from testbed.planting import Planting
from testbed.selftest import edits
from testbed.selftest.defect import Defect

if TYPE_CHECKING:
    from testbed.selftest.edits import Edit, Tree

ERRORS: Final = "HighErrorRate"


def _rule(name: str, what: str, scenario: str, edit: Edit, *culprits: Stage) -> Defect:
    return Defect(name, what, scenario, culprits or (Stage.RULE,), Planting(edit=edit))


def _no_rules(tree: Tree) -> None:
    tree["rule_files"] = []


def _one_file(tree: Tree) -> None:
    tree["rule_files"] = ["rules/api.yml"]


def _seldom_evaluated(tree: Tree) -> None:
    tree["global"]["evaluation_interval"] = "8s"


def _for(seconds: str) -> edits.Change:
    return lambda entry: entry.update({"for": seconds})


RULES: Final = (
    _rule("rules-none", "No rule file is loaded.", "quick", edits.prometheus(_no_rules)),
    _rule("rules-one-file", "Two of three rule files are not loaded.", "quick",
          edits.prometheus(_one_file)),
    _rule("rules-seldom", "Rules are evaluated every 8 s of real time.", "quick",
          edits.prometheus(_seldom_evaluated), Stage.RULE, Stage.PROMETHEUS),
    _rule("rule-gone", "The rule of the alert is gone.", "quick-errors",
          edits.without_rule(ERRORS)),
    _rule("rule-matcher-typo", "The rule asks for the job ml-apii.", "quick",
          edits.expression(ERRORS, 'job="ml-api"', 'job="ml-apii"')),
    _rule("rule-metric-typo", "The rule asks for a metric that does not exist.", "quick",
          edits.expression("ModelNotLoaded", "ml_model_loaded", "ml_models_loaded")),
    _rule("rule-fails", "The evaluation of a rule fails.", "quick",
          edits.expression("ModelNotLoaded", 'ml_model_loaded{job="ml-api"} == 0',
                           'up == on(instance) group_left() ({__name__=~"go_.+"} > 0)')),
    _rule("rule-limit-times-ten", "The limit is ten times too high.", "error-burst",
          edits.expression(ERRORS, "> 0.1", "> 1")),
    _rule("rule-limit-tenth", "The limit is a tenth of what it should be.", "error-burst",
          edits.expression(ERRORS, "> 0.1", "> 0.01")),
    _rule("rule-flipped", "The comparison is the wrong way round.", "quick",
          edits.expression(ERRORS, "> 0.1", "< 0.1")),
    _rule("rule-median", "The median is taken for the 95th percentile.", "slow-model",
          edits.expression("HighLatency", "histogram_quantile(0.95", "histogram_quantile(0.5")),
    _rule("rule-for-long", "`for` is six times too long.", "quick-errors",
          edits.rule(ERRORS, _for("60s"))),
    _rule("rule-4xx", "The rule counts 4xx in place of 5xx.", "quick-errors",
          edits.expression(ERRORS, '"5.."', '"4.."')),
)  # fmt: skip
