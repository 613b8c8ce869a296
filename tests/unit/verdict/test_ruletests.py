"""The tests of the rules as a witness: what promtool reports, and what the verdict makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.checks.stages import Stage
from testbed.facts.ruletests import FailedTest, RuleTests, parse_report, read_ruletests

from .conftest import World

EXPECTED = """exp:[
    0:
      Labels:{alertname="A", severity="warning"}
      Annotations:{runbook_url="docs/runbooks/A.md"}
    ],"""
GOT = """got:[
    0:
      Labels:{alertname="A", severity="info"}
      Annotations:{runbook_url="docs/runbooks/A.md"}
    ]"""


def report(*failures: str) -> str:
    """What promtool writes."""
    cases = "".join(
        f'<testcase name="test {number}"><failure><![CDATA[name: test {number},\n'
        f"alertname: A, time: 3m, \n{text}]]></failure></testcase>"
        for number, text in enumerate(failures)
    )
    return f'<testsuites><testsuite><testcase name="fine"/>{cases}</testsuite></testsuites>'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{EXPECTED}\ngot:[]", "A does not fire at 3m, as its test wants"),
        (f"exp:[],\n{GOT}", "A fires at 3m, which its test forbids"),
        (f"{EXPECTED}\n{GOT}", "A at 3m: severity is 'info', not 'warning'"),
    ],
)
def test_what_differs_is_said_in_words(text: str, says: str) -> None:
    """Silent, firing, or with other labels and texts."""
    found = parse_report(report(text))
    assert found == RuleTests(tests=2, failed=(FailedTest(name="test 0", says=says),))


def test_a_report_of_passing_tests_has_no_failure() -> None:
    """And one that was never written has no test."""
    assert parse_report(report()) == RuleTests(tests=1)
    assert parse_report("") == RuleTests()


@pytest.mark.parametrize("place", ["own rules", "no tests"])
def test_what_can_not_be_tested_says_why(tmp_path: Path, place: str) -> None:
    """Rules of the user bring no tests, and need not."""
    rules = tmp_path / ("mine" if place == "own rules" else "prometheus/rules")
    found = read_ruletests(tmp_path, rules)
    assert found.skipped
    assert not found.failed


def test_a_rule_that_fails_its_test_leads_as_the_rules_fault(world: World) -> None:
    """Though nothing in the run made it fire."""
    failed = FailedTest(name="A fires", says="A does not fire at 3m, as its test wants")
    world.ruletests = RuleTests(tests=3, failed=(failed,))
    (check,) = world.evaluate().failed
    assert (check.name, check.stage) == ("rules tested", Stage.RULE)
    assert "A does not fire at 3m, as its test wants (test 'A fires')" in check.summary


def test_rules_that_pass_or_have_no_tests_are_no_finding(world: World) -> None:
    """Why nothing was run is said."""
    world.ruletests = RuleTests(tests=3)
    assert not world.evaluate().failed
    world.ruletests = RuleTests(skipped="promtool is not installed")
    verdict = world.evaluate()
    assert not verdict.failed
    check = next(check for check in verdict.checks if check.name == "rules tested")
    assert "promtool is not installed" in check.summary
