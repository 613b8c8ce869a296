"""Rules that are missing, idle, broken or off their limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.stages import Stage
from testbed.planting import Planting
from testbed.selftest import edits
from testbed.selftest.defect import Defect

if TYPE_CHECKING:
    from testbed.selftest.edits import Change, Edit, Tree

ERRORS: Final = "HighErrorRate"
HEARTBEAT: Final = "Watchdog"


def _rule(name: str, what: str, scenario: str, edit: Edit, *culprits: Stage) -> Defect:
    """A defect of the rule files themselves, which no comparison with them can find."""
    planting = Planting(source=edits.below("prometheus", edit))
    return Defect(name, what, scenario, culprits or (Stage.RULE,), planting)


def _unloaded(name: str, what: str, change: Change, *culprits: Stage) -> Defect:
    """A defect between the rule files and Prometheus."""
    planting = Planting(edit=edits.prometheus(change))
    return Defect(name, what, "quick", culprits or (Stage.RULE,), planting)


def _no_rules(tree: Tree) -> None:
    tree["rule_files"] = []


def _one_file(tree: Tree) -> None:
    tree["rule_files"] = ["rules/api.yml"]


def _seldom_evaluated(tree: Tree) -> None:
    tree["global"]["evaluation_interval"] = "8s"


def _for(seconds: str) -> Change:
    return lambda entry: entry.update({"for": seconds})


def _group_seldom(tree: Tree) -> None:
    tree["groups"][0]["interval"] = "5m"


def _limit_in_text(entry: Tree) -> None:
    texts = entry["annotations"]
    texts["description"] = texts["description"].replace("the limit is 0.1", "the limit is 1")


RULES: Final = (
    _unloaded("rules-none", "No rule file is loaded.", _no_rules),
    _unloaded("rules-one-file", "All rule files but one are not loaded.", _one_file),
    _unloaded("rules-seldom", "Rules are evaluated every 8 s of real time.", _seldom_evaluated,
              Stage.RULE, Stage.PROMETHEUS),
    _rule("rules-group-seldom", "One group is evaluated every five minutes.", "quick",
          edits.document("rules/drift.yml", _group_seldom)),
    _rule("rules-never-loaded", "The configuration names no rule file.", "quick",
          edits.prometheus(_no_rules)),
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
    _rule("rule-limit-tenth", "The limit is a tenth of what it should be.", "error-margin",
          edits.expression(ERRORS, "> 0.1", "> 0.01")),
    _rule("rule-flipped", "The comparison is the wrong way round.", "quick-errors",
          edits.expression(ERRORS, "> 0.1", "< 0.1")),
    _rule("rule-median", "The median is taken for the 95th percentile.", "latency-margin",
          edits.expression("HighLatency", "histogram_quantile(0.95", "histogram_quantile(0.5")),
    _rule("rule-for-long", "`for` is six times too long.", "quick-errors",
          edits.rule(ERRORS, _for("30m"))),
    _rule("rule-4xx", "The rule counts 4xx in place of 5xx.", "quick-errors",
          edits.expression(ERRORS, '"5.."', '"4.."')),
    _rule("rule-absent-removed", "`absent()` is gone.", "api-outage",
          edits.expression("APIDown", ' or absent(up{job="ml-api"})', "")),
    _rule("rule-slow-limit-double", "The limit is twice too high.", "latency-margin",
          edits.expression("SlowInference", "> 0.5", "> 1")),
    _rule("heartbeat-gone", "No rule always fires any more.", "quick",
          edits.without_rule(HEARTBEAT)),
    _rule("heartbeat-waits", "The heartbeat has a `for` of an hour.", "quick",
          edits.rule(HEARTBEAT, _for("1h"))),
    _rule("heartbeat-asks", "The heartbeat fires on data, and these are not there.", "quick",
          edits.expression(HEARTBEAT, "vector(1)", 'up{job="watchdog"}')),
    _rule("rule-runbook-other", "An alert names the runbook of another one.", "quick",
          edits.annotation(ERRORS, "runbook_url", "docs/runbooks/HighLatency.md")),
    _rule("rule-text-limit", "The description names another limit than the rule has.", "quick",
          edits.rule(ERRORS, _limit_in_text)),
    _rule("rule-idle-severity", "An alert that does not fire in the run is no longer critical.",
          "quick", edits.label("APIDown", "severity", "warning")),
    _rule("rule-idle-for", "`for` of an alert that does not fire in the run is a tenth.", "quick",
          edits.rule("HighLatency", _for("30s"))),
    _rule("rule-idle-grouping", "A rule adds replicas up that it should distinguish.", "quick",
          edits.expression("HighConcurrentRequests", "by (job, instance)", "by (job)")),
    _rule("rule-concurrency-tenth", "The limit is a tenth.", "latency-margin",
          edits.expression("HighConcurrentRequests", "> 10", "> 1")),
    _rule("rule-limit-near", "The limit is a fifth higher, between all that a run shows.", "quick",
          edits.expression(ERRORS, "> 0.1", "> 0.12")),
    _rule("rule-keeps-firing", "`keep_firing_for` of 5 minutes, of an alert that does not fire.",
          "quick", edits.rule(ERRORS, lambda entry: entry.update({"keep_firing_for": "5m"}))),
)  # fmt: skip
