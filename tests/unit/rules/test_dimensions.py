"""Plain numbers that count seconds or events, and what they become at a time scale."""

from __future__ import annotations

import pytest
from testbed_rules.dimensions import Sort, with_numbers_scaled


@pytest.mark.parametrize(
    ("expression", "scaled"),
    [
        ("time() - a > 900", "time() - a > 900 / 30"),
        ("time() - a > 15m", "time() - a > 15m / 30"),
        ("900 < time() - a", "900 / 30 < time() - a"),
        ("(time() - a) / 60 > 15", "(time() - a) / 60 > 15 / 30"),
        ("time() - a > 60 * 60 * 24", "time() - a > (60 * 60 * 24) / 30"),
        ("time() - a > (60 * 60)", "time() - a > (60 * 60) / 30"),
        ("time() > a + 900", "time() > a + 900 / 30"),
        ("time() - (a / 1000 + 600) > 0", "time() - (a / 1000 + 600 / 30) > 0"),
        ("a_timestamp_seconds - b > 60", "a_timestamp_seconds - b > 60 / 30"),
        ("timestamp(up) - a > 60", "timestamp(up) - a > 60 / 30"),
        ("max(max_over_time(a[1h])) < time() - 6", "max(max_over_time(a[1h])) < time() - 6 / 30"),
        ("increase(a[5m]) > 30", "increase(a[5m]) > 30 / 30"),
        ("sum by (x) (increase(a[5m])) > 3", "sum by (x) (increase(a[5m])) > 3 / 30"),
        ("-delta(a[15m]) > bool -3", "-delta(a[15m]) > bool -3 / 30"),
        ("increase(a[5m]) + 2 > 3", "increase(a[5m]) + 2 / 30 > 3 / 30"),
        ("topk(3, increase(a[5m]) > 3) > 7", "topk(3, increase(a[5m]) > 3 / 30) > 7 / 30"),
        ("1 / (time() - a) > 0.1", "1 / (time() - a) > 0.1 * 30"),
        ("clamp_min(increase(a[5m]), 2) > 3", "clamp_min(increase(a[5m]), 2 / 30) > 3 / 30"),
        ("round((time() - a) / 8640, 0.1) > 3", "round((time() - a) / 8640, 0.1 / 30) > 3 / 30"),
        ("stdvar_over_time(increase(a[5m])[1h:5m]) > 9",
         "stdvar_over_time(increase(a[5m])[1h:5m]) > 9 / 900"),
        ("predict_linear(a[1h], 4 * 3600) < 0", "predict_linear(a[1h], (4 * 3600) / 30) < 0"),
        ("predict_linear(a[1h], 1h) < 5", "predict_linear(a[1h], 1h / 30) < 5"),
        ("increase(a[500ms]) > 3", "increase(a[500ms]) > 3 / 30"),
        ("(increase(a[5m]) or vector(0)) > 3", "(increase(a[5m]) or vector(0)) > 3 / 30"),
        ("(increase(a[5m]) or vector(6)) > 3",
         "(increase(a[5m]) or (vector(6)) / 30) > 3 / 30"),
        ("max_over_time(increase(a[5m])[1h:]) > 3", "max_over_time(increase(a[5m])[1h:]) > 3 / 30"),
        (r'increase(a{b=~"/c\\.d|\\bx"}[5m]) > 30', r'increase(a{b=~"/c\\.d|\\bx"}[5m]) > 30 / 30'),
        (r"increase(a{b=~`\d+`, c='\''}[5m]) > 1_000",
         r"increase(a{b=~`\d+`, c='\''}[5m]) > 1_000 / 30"),
        (r'label_replace(time() - a, "x", "$1", "y", "(.*)\\.z") > 900',
         r'label_replace(time() - a, "x", "$1", "y", "(.*)\\.z") > 900 / 30'),
        ('time() - {"my.metric", "my.label"="x"} > 900 # old',
         'time() - {"my.metric", "my.label"="x"} > 900 / 30 # old'),
        ("a_total - a_total offset 5m > 30", "a_total - a_total offset 5m > 30 / 30"),
        ("process_uptime_seconds < 600", "process_uptime_seconds < 600 / 30"),
        ("backup_age_seconds > 7200", "backup_age_seconds > 7200 / 30"),
    ],
)  # fmt: skip
def test_numbers_are_divided_where_their_dimension_is_certain(expression: str, scaled: str) -> None:
    """Ranges are left alone here; what is compared with an amount of time is divided."""
    found = with_numbers_scaled(expression, 30)
    assert " ".join(found.text.split()) == scaled
    assert not found.problems
    assert found.numbers
    assert with_numbers_scaled(expression, 1).text == expression


@pytest.mark.parametrize(
    "expression",
    [
        "increase(a[5m]) > 0",
        "changes(a[15m]) == 0",
        "rate(a[5m]) > 3",
        "sum(increase(a[5m])) / sum(increase(b[5m])) > 0.1",
        "a > 5 and time() - b > 0",
        "time() - b / 1000 > 0",
        "predict_linear(a[1h], 0) < 0",
        "count(a_timestamp_seconds) < 2",
        "count_over_time(a[5m]) < 10",
        "histogram_quantile(0.95, sum by (le) (increase(a[5m]))) > 0.5",
        "(count(a == 1) or vector(0)) < 1",
        "hour() > 8",
        "day_of_week(a_timestamp_seconds) > 5",
        "a_seconds > 900",
        "increase(a[5m]) > increase(b[5m])",
        "rate(a[5m]) * 3600 > 10",
        "a_total / b_total > 0.1",
        "(a_total - a_free) / a_total > 0.9",
        "a_ratio - a_ratio offset 5m > 0",
        "sum_over_time(a[5m]) > 3",
    ],
)
def test_numbers_that_no_scale_changes_stay(expression: str) -> None:
    """Zero, rates, shares, counts, latencies and unit conversions are right at every scale."""
    found = with_numbers_scaled(expression, 30)
    assert (found.text, found.numbers, found.problems) == (expression, (), ())


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("changes(a[15m]) < 2", "changes counts events"),
        ("resets(a[15m]) > 2", "resets counts events"),
        ("idelta(a[15m]) > 2", "idelta counts events"),
        ("increase(a[5m]) > b", "increase(a[5m]) and b don't grow alike"),
        ("delta(a[10m]) > a * 0.1", "don't grow alike"),
        ("time() % 86400 > a + 1", "don't grow alike|can't be told"),
        ("floor(increase(a[5m])) > 3", "how floor(increase(a[5m])) depends on time can't be told"),
        ("sin(increase(a[5m])) > 0.5", "how sin(increase(a[5m])) depends on time can't be told"),
        ("delta(drift_score[10m]) > 0.2", "delta measures a change"),
        ("deriv(rate(a[5m])[10m:1m]) > 0.2", "deriv measures a change"),
        ("a - a offset 10m > 20", "how a - a offset 10m depends on time can't be told"),
        ("a_total > 1000", "a_total reads as a counter, which grows with the length of the run"),
        ("time() - a > pi()", "can't be found in its text"),
        ("minute(time() - a) > 3", "how minute(time() - a) depends on time can't be told"),
        ("a_start_time_seconds > 1000", "depends on time can't be told"),
    ],
)
def test_what_is_not_certain_is_said(expression: str, problem: str) -> None:
    """Such a rule has to be set aside; its reason is one line."""
    found = with_numbers_scaled(expression, 30)
    assert found.text == expression
    assert any(each in found.problems[0] for each in problem.split("|"))
    assert "\n" not in found.problems[0]


def test_recorded_series_have_the_dimension_of_what_they_record() -> None:
    """What a rule reads from another one is scaled alike."""
    expression = "job:errors:increase5m > 30"
    assert with_numbers_scaled(expression, 30).numbers == ()
    recorded = {"job:errors:increase5m": with_numbers_scaled("increase(a[5m])", 30).dimension}
    assert with_numbers_scaled(expression, 30, recorded).text == ("job:errors:increase5m > 30 / 30")
    assert with_numbers_scaled("time()", 30).dimension is Sort.INSTANT
    quoted = '{__name__="job:errors:increase5m"} > 30'
    assert with_numbers_scaled(quoted, 30, recorded).text == f"{quoted} / 30"
    pattern = '{__name__=~"job:.*:increase5m"} > 30'
    assert with_numbers_scaled(pattern, 30, recorded).problems
    assert not with_numbers_scaled('{__name__=~"other:.*"} > 30', 30, recorded).problems
