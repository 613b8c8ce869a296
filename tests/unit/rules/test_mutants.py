"""Mutants: each mistake once, and none that is none."""

from __future__ import annotations

from testbed_rules.conditions import read_condition, written
from testbed_rules.mutants import Mutant, mutants, queries
from testbed_rules.replay import RuleTiming

ERRORS = 'sum by (job, x) (rate(e{job="api", code=~"5.."}[5m])) > 0.1'


def made(text: str, timing: RuleTiming | None = None) -> dict[str, Mutant]:
    """Mutants of an expression by what was done."""
    return {each.text: each for each in mutants(read_condition(text), timing or RuleTiming())}


def test_a_rate_with_a_limit() -> None:
    """Limits, comparison, range, grouping and matchers."""
    found = {text: written(mutant.condition) for text, mutant in made(ERRORS).items()}
    core = 'sum by (job, x)(rate(e{job="api",code=~"5.."}[5m]))'
    assert found == {
        "limit \u00d7 10": f"{core} > 1",
        "limit \u00d7 2": f"{core} > 0.2",
        "limit \u00f7 2": f"{core} > 0.05",
        "limit \u00f7 10": f"{core} > 0.01",
        "> becomes <": f"{core} < 0.1",
        "> becomes >=": f"{core} >= 0.1",
        "range [5m] \u00d7 3": core.replace("5m", "15m") + " > 0.1",
        "range [5m] \u00f7 3": core.replace("5m", "1m40s") + " > 0.1",
        "job dropped from `by`": core.replace("job, x", "x") + " > 0.1",
        "x dropped from `by`": core.replace("job, x", "job") + " > 0.1",
        'job="api" of e dropped': core.replace('job="api",', "") + " > 0.1",
        'job="api" of e broken': core.replace("api", "apix") + " > 0.1",
        'code=~"5.." of e dropped': core.replace(',code=~"5.."', "") + " > 0.1",
        'code=~"5.." of e broken': core.replace("5..", "5..x") + " > 0.1",
    }


def test_limits_and_durations_need_no_query() -> None:
    """They are changed on what the rule's own query brought."""
    found = made("a > 10", RuleTiming(60.0))
    assert queries(tuple(found.values())) == {"a{}"}


def test_for_is_changed_and_removed() -> None:
    """And what is not there is not."""
    timings = {text: each.timing.for_ for text, each in made("a == 0", RuleTiming(30.0)).items()}
    assert timings == {
        "`for` \u00d7 10": 300.0, "`for` \u00d7 3": 90.0, "`for` \u00f7 3": 10.0,
        "`for` \u00f7 10": 3.0, "`for` removed": 0.0, "== becomes !=": 30.0,
    }  # fmt: skip
    assert "`keep_firing_for` removed" in made("a == 0", RuleTiming(0.0, 5.0))


def test_quantiles() -> None:
    """The one that the rule has is none of them, and ``le`` stays."""
    found = made("histogram_quantile(0.99, sum by (le, job) (rate(b[1m]))) > 1")
    assert "quantile 0.99 becomes 0.5" in found
    assert "quantile 0.99 becomes 0.99" not in found
    assert "le dropped from `by`" not in found
    assert "job dropped from `by`" in found


def test_sides_of_set_operations() -> None:
    """``absent()`` is forgotten easily."""
    found = {text: written(each.condition) for text, each in made("up == 0 or absent(up)").items()}
    assert found["absent(up) dropped after `or`"] == "up{} == 0"
    assert found["up == 0 dropped before `or`"] == "absent(up{})"


def test_comparisons_within_a_query_are_changed_there() -> None:
    """As between two series, or within an aggregation."""
    found = {text: written(each.condition) for text, each in made("max(a > 3)").items()}
    assert found["limit \u00d7 2 of a > 3"] == "max(a{} > 6)"
    assert found["> becomes < of a > 3"] == "max(a{} < 3)"
    found = {text: written(each.condition) for text, each in made("a >= on (x) b").items()}
    assert found[">= becomes <= of a >= on (x) b"] == "a{} <= on (x) b{}"


def test_several_comparisons_are_distinguished() -> None:
    """Each mutant says which one."""
    found = made("a > 1 or b > 1")
    assert "limit \u00d7 2 of a > 1" in found
    assert "limit \u00d7 2 of b > 1" in found


def test_mutants_stay_expressions_where_the_parser_prints_others() -> None:
    """Escapes of strings and subqueries without a step are in every mutant of a rule."""
    found = made(r'max_over_time(a{b=~"x\\.y",c="d"}[1h:]) > 1')
    texts = {text: written(each.condition) for text, each in found.items()}
    assert texts[r'b=~"x\\.y" of a broken'] == r'max_over_time(a{b=~"x\\.yx",c="d"}[1h:]) > 1'
    assert texts['c="d" of a dropped'] == r'max_over_time(a{b=~"x\\.y"}[1h:]) > 1'
    assert texts["range [1h] \u00d7 3"] == r'max_over_time(a{b=~"x\\.y",c="d"}[3h:]) > 1'
