"""Durations and the time scale."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from testbed_domain.errors import DomainError
from testbed_rules.scaling import scaled_rules
from testbed_rules.timescale import (
    MINIMUM_INTERVAL,
    RuleDurationError,
    TimeScale,
    format_duration,
    parse_duration,
)

from tests.support.yamltext import load_yaml


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 0.5),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("1y2w3d4h5m6s7ms", 33_019_506.007),
        (" 15s ", 15),
    ],
)
def test_parse_duration_reads_all_units(text: str, seconds: float) -> None:
    """Every unit of Prometheus is read, alone and combined."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "1.5h", "-5m", "30m1h", "5m5m", "m", "1h30", "5min", "\u0665m", "1us"]
)
def test_parse_duration_refuses_what_prometheus_refuses(text: str) -> None:
    """Anything else is one line that shows the text and how to write it, never a traceback."""
    with pytest.raises(RuleDurationError, match="90s, 1h30m or 500ms") as caught:
        parse_duration(text)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, DomainError)
    assert "\n" not in str(caught.value)
    assert repr(text.strip()) in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "500ms"),
        (10, "10s"),
        (61.25, "1m1s250ms"),
        (5400, "1h30m"),
        (86_400, "24h"),
        (8.571428, "8s571ms"),
        (0.0001, "1ms"),
    ],
)
def test_format_duration(seconds: float, text: str) -> None:
    """Milliseconds count, hours are the largest unit, and something never becomes nothing."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_format_duration_refuses_what_is_no_duration(seconds: float) -> None:
    """A negative or endless time is an error."""
    with pytest.raises(RuleDurationError):
        format_duration(seconds)


def test_format_and_parse_are_inverse() -> None:
    """Any whole number of milliseconds comes back."""
    rng = random.Random(1)  # noqa: S311 - test data
    for _ in range(500):
        milliseconds = rng.randrange(0, 10 ** rng.randrange(1, 12))
        assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize("factor", [0, 0.5, -3, math.nan, math.inf])
def test_scale_below_one_is_refused(factor: float) -> None:
    """A run is never slower than production."""
    with pytest.raises(RuleDurationError, match="time scale"):
        TimeScale(factor)


def test_interval_has_a_floor() -> None:
    """Intervals stop at what a machine can keep up with, unless production is below already."""
    assert TimeScale(30).interval("15s") == "500ms"
    assert TimeScale(1000).interval("15s") == format_duration(MINIMUM_INTERVAL)
    assert TimeScale(1000).interval("100ms") == "100ms"
    assert TimeScale(1).interval("15s") == "15s"


@pytest.mark.parametrize(
    ("production", "scaled"),
    [
        ("rate(x[5m])", "rate(x[10s])"),
        ("x offset 5m", "x offset 10s"),
        ("x offset -1h30m", "x offset -3m"),
        ("x OFFSET\n 1w", "x OFFSET\n 5h36m"),
        ("rate(x[5m] offset 10m)", "rate(x[10s] offset 20s)"),
        ("max_over_time(rate(x[5m])[30m:1m])", "max_over_time(rate(x[10s])[1m:2s])"),
        ("x[30m:]", "x[1m:]"),
        ("x[ 30m : 1m ]", "x[1m:2s]"),
        ("x[300]", "x[10s]"),
        ("x[500ms]", "x[17ms]"),
        ("x{a=\"[5m]\", b='offset 5m', c=`[5m`}[5m]", "x{a=\"[5m]\", b='offset 5m', c=`[5m`}[10s]"),
        (r'x{a="\"[5m]"}[5m]', r'x{a="\"[5m]"}[10s]'),
        ("x[5m] # [5m] offset 5m\n> y[5m]", "x[10s] # [5m] offset 5m\n> y[10s]"),
        ("sum by (offset) (x) > 5", "sum by (offset) (x) > 5"),
        ("my_offset - 5", "my_offset - 5"),
        ("time() - x > 900", "time() - x > 900"),
        ("x @ 1609746000 offset 5m", "x @ 1609746000 offset 10s"),
        ("job:x:rate5m[5m]", "job:x:rate5m[10s]"),
        ('{"a.offset 5m"}[5m]', '{"a.offset 5m"}[10s]'),
    ],
)
def test_expression(production: str, scaled: str) -> None:
    """Ranges, offsets and subqueries are divided; strings, comments, names and numbers stay."""
    assert TimeScale(30).expression(production) == scaled


@pytest.mark.parametrize("expression", ["x[5m * 2]", "x[5m", "x[]", "x[step()]", "x[30m1h]"])
def test_expression_with_an_unreadable_range_is_refused(expression: str) -> None:
    """What can't be scaled is an error, never left as it is."""
    with pytest.raises(RuleDurationError):
        TimeScale(30).expression(expression)


def make_expression(rng: random.Random, depth: int, factor: float) -> tuple[str, str]:
    """A random expression twice: as in production, and as it must look at ``factor``."""

    def duration() -> tuple[str, str]:
        seconds = rng.choice([30, 60, 90, 300, 5400, 86_400, 0.5])
        return format_duration(seconds), format_duration(seconds / factor)

    def offset() -> tuple[str, str]:
        if rng.random() < 0.6:
            return "", ""
        sign, (whole, part) = rng.choice(["", "-", "- "]), duration()
        return f" offset {sign}{whole}", f" offset {sign}{part}"

    (length, short), (step, short_step), (back, short_back) = duration(), duration(), offset()
    name = rng.choice(["x", "a:offset:5m", 'y{l="[5m] offset 5m"}', "z{l='it\\'s [1h'}"])
    if depth == 0:
        return f"rate({name}[{length}]{back})", f"rate({name}[{short}]{short_back})"
    inner, scaled = make_expression(rng, depth - 1, factor)
    other, other_scaled = make_expression(rng, 0, factor)
    return rng.choice(
        [
            (f"sum by (l) ({inner})", f"sum by (l) ({scaled})"),
            (f"{inner} / {other} > 300", f"{scaled} / {other_scaled} > 300"),
            (
                f"max_over_time(({inner})[{length}:{step}]{back})",
                f"max_over_time(({scaled})[{short}:{short_step}]{short_back})",
            ),
            (
                f"{inner}\n  # was [5m]\n  or {other}",
                f"{scaled}\n  # was [5m]\n  or {other_scaled}",
            ),
        ]
    )


@pytest.mark.parametrize("factor", [1, 7, 30, 60, 1000])
def test_random_expressions(factor: float) -> None:
    """Whatever is built of the grammar's parts, just its durations change, and it still parses."""
    rng = random.Random(factor)  # noqa: S311 - test data
    for _ in range(100):
        production, expected = make_expression(rng, rng.randrange(4), factor)
        assert TimeScale(factor).expression(production) == expected
        promql.parse(expected)


def durations(expression: str) -> list[timedelta]:
    """Every range, step and offset that promql-parser, an independent reader, finds."""
    nodes: list[promql.Expr] = []
    promql.walk(promql.parse(expression), nodes.append)
    found = [
        getattr(node, attribute, None)
        for node in nodes
        for attribute in ("range", "step", "offset")
    ]
    return [each for each in found if each is not None]


@pytest.fixture(scope="module")
def project_rules(repository: Path) -> list[dict[str, Any]]:
    """All rules of the project."""
    return [
        rule
        for path in sorted((repository / "prometheus/rules").glob("*.yml"))
        for group in load_yaml(path.read_text())["groups"]
        for rule in group["rules"]
    ]


@pytest.mark.parametrize("factor", [30, 60])
def test_project_rules_scale_exactly(project_rules: list[dict[str, Any]], factor: float) -> None:
    """In the project's own rules, an independent parser finds every duration divided."""
    assert any(durations(rule["expr"]) for rule in project_rules)
    for rule in project_rules:
        scaled = TimeScale(factor).rule(rule)
        assert durations(scaled["expr"]) == [each / factor for each in durations(rule["expr"])]
        if "for" in rule:
            assert parse_duration(scaled["for"]) == parse_duration(rule["for"]) / factor


def test_rules() -> None:
    """A rules file scales as a whole; labels, annotations and the input stay as they are."""
    document = load_yaml("""
      groups:
        - name: g
          interval: 1m
          query_offset: 30s
          rules:
            - alert: A
              expr: rate(x[5m]) > 0.1
              for: 5m
              keep_firing_for: 10m
              labels: {severity: warning, for: 5m}
              annotations: {summary: "for 5m [5m]"}
            - {record: "x:rate5m", expr: "rate(x[5m])"}
        - name: empty
    """)
    before = yaml.safe_dump(document)
    scaled = scaled_rules({"my.yml": document}, 30)["my.yml"]
    assert yaml.safe_dump(document) == before
    group, empty = scaled["groups"]
    assert (group["interval"], group["query_offset"]) == ("2s", "1s")
    assert group["rules"][0] == {
        "alert": "A",
        "expr": "rate(x[10s]) > 0.1",
        "for": "10s",
        "keep_firing_for": "20s",
        "labels": {"severity": "warning", "for": "5m"},
        "annotations": {"summary": "for 5m [5m]"},
    }
    assert group["rules"][1] == {"record": "x:rate5m", "expr": "rate(x[10s])"}
    assert empty["rules"] == []


def test_prometheus_keeps_window_and_retention() -> None:
    """Intervals scale; the out-of-order window, retention and network timeouts don't."""
    scaled = TimeScale(30).prometheus(
        {
            "global": {
                "scrape_interval": "15s",
                "scrape_timeout": "10s",
                "evaluation_interval": "15s",
                "rule_query_offset": "30s",
            },
            "alerting": {"alertmanagers": [{"timeout": "10s"}]},
            "storage": {"tsdb": {"out_of_order_time_window": "30m", "retention": {"time": "15d"}}},
            "scrape_configs": [
                {"job_name": "a", "scrape_interval": "1m"},
                {"job_name": "b", "file_sd_configs": [{"refresh_interval": "1m"}]},
            ],
        }
    )
    assert scaled["global"] == {
        "scrape_interval": "500ms",
        "scrape_timeout": "333ms",
        "evaluation_interval": "500ms",
        "rule_query_offset": "1s",
    }
    assert scaled["alerting"]["alertmanagers"][0]["timeout"] == "10s"
    assert scaled["storage"]["tsdb"] == {
        "out_of_order_time_window": "30m",
        "retention": {"time": "15d"},
    }
    assert scaled["scrape_configs"][0]["scrape_interval"] == "2s"
    assert scaled["scrape_configs"][1]["file_sd_configs"][0]["refresh_interval"] == "2s"


def test_scrape_timeout_stays_within_its_interval() -> None:
    """Prometheus refuses a timeout longer than the interval, at every scale."""
    for factor in (1, 30, 60, 500, 1000):
        scaled = TimeScale(factor).prometheus(
            {"global": {"scrape_interval": "15s", "scrape_timeout": "10s"}}
        )["global"]
        timeout, interval = scaled["scrape_timeout"], scaled["scrape_interval"]
        assert parse_duration(timeout) <= parse_duration(interval)


def test_alertmanager_scales_nested_routes() -> None:
    """Group times scale at every depth of the routing tree."""
    scaled = TimeScale(30).alertmanager(
        {
            "global": {"resolve_timeout": "5m", "smtp_smarthost": "mail:25"},
            "route": {
                "group_wait": "30s",
                "routes": [{"group_interval": "5m", "routes": [{"repeat_interval": "4h"}]}],
            },
        }
    )
    assert scaled == {
        "global": {"resolve_timeout": "10s", "smtp_smarthost": "mail:25"},
        "route": {
            "group_wait": "1s",
            "routes": [{"group_interval": "10s", "routes": [{"repeat_interval": "8m"}]}],
        },
    }


def test_collector_scales_batches_and_retries_only() -> None:
    """Batch timeouts and retry intervals scale; exporter timeouts and memory checks don't."""
    scaled = TimeScale(30).collector(
        {
            "processors": {"memory_limiter": {"check_interval": "1s"}, "none": None},
            "exporters": {
                "otlp_http": {
                    "timeout": "5s",
                    "sending_queue": {"batch": {"flush_timeout": "3s", "min_size": 10}},
                    "retry_on_failure": {"initial_interval": "5s", "max_elapsed_time": "0s"},
                }
            },
        }
    )
    assert scaled["processors"] == {"memory_limiter": {"check_interval": "1s"}, "none": None}
    assert scaled["exporters"]["otlp_http"] == {
        "timeout": "5s",
        "sending_queue": {"batch": {"flush_timeout": "100ms", "min_size": 10}},
        "retry_on_failure": {"initial_interval": "167ms", "max_elapsed_time": "0s"},
    }
