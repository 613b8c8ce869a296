"""What rules compare with their limits, of alerts that are expected or that fired."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from testbed.clients.prometheus import AlertRule, Series
from testbed.errors import StackError
from testbed.facts.rulecharts import alert_of, anchor, read_rulecharts

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class _Prometheus:
    """Knows four rules, of which one fired; refuses one query."""

    def series(self, _selector: str, *, start: float, end: float) -> list[dict[str, str]]:
        assert start < end
        return [{"alertname": "Fired"}]

    def rules(self) -> list[AlertRule]:
        return [
            _rule("Expected", "errors / requests > 0.1"),
            _rule("Fired", "free < 5 and used >= 7"),
            _rule("Quiet", "errors > 1"),
            _rule("Fired", "refused > 1"),
            _rule("Expected", "vector(1)"),
        ]

    def query_range(self, expression: str, start: float, end: float, _step: float) -> list[Series]:
        if "refused" in expression:
            raise StackError("the query failed")
        points = ((start, 1.0), (end, float("nan")))
        higher = ((start, 9.0), (end, 8.0))
        return [Series({"job": "a"}, points), *(Series({"job": f"{n}"}, higher) for n in range(9))]


def _rule(name: str, query: str) -> AlertRule:
    return AlertRule(
        name=name, group="g", query=query, for_=0.0, state="inactive", health="ok", last_error=""
    )


def _sources() -> Sources:
    made = SimpleNamespace(
        prometheus=_Prometheus(),
        span=SimpleNamespace(start=100.0, end=130.0, step=0.5),
        scenario=SimpleNamespace(expected_alerts=[SimpleNamespace(alert="Expected")]),
    )
    return cast("Sources", made)


def test_each_limit_is_a_chart_with_its_limit() -> None:
    """Of expected and of fired alerts; a query that fails leaves one out, and nothing else."""
    charts = read_rulecharts(_sources())
    assert [chart.title for chart in charts] == [
        "Expected: value against its limit (> 0.1)",
        "Fired: value against its limit (< 5)",
        "Fired: value against its limit (>= 7)",
    ]
    assert [alert_of(chart) for chart in charts] == ["Expected", "Fired", "Fired"]
    expected = charts[0].lines
    assert expected[-1].name == "limit"
    assert expected[-1].points == ((100.0, 0.1), (130.0, 0.1))


def test_series_that_went_furthest_are_shown() -> None:
    """Upwards the highest, downwards the lowest, so many as can be distinguished."""
    upward, downward, _ = read_rulecharts(_sources())
    assert len(upward.lines) == 7
    assert "job=a" not in {line.name for line in upward.lines}
    assert downward.lines[0].name == "job=a"
    assert downward.lines[0].points[1] == (130.0, None)


def test_anchor_is_safe_in_a_page() -> None:
    """Whatever an alert is called."""
    assert anchor('A <"b">') == "values-A%20%3C%22b%22%3E"
