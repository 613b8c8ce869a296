"""Panel queries come out of the dashboard ready for Prometheus."""

from __future__ import annotations

from testbed_grafana.boards import BOARDS
from testbed_grafana.queries import PanelQuery, panel_queries


def test_no_variable_is_left() -> None:
    """Every Grafana variable is filled in."""
    assert all("$" not in query.expr for query in panel_queries("30s"))


def test_rate_interval_is_used() -> None:
    """The interval that was given stands in the range selectors."""
    exprs = [query.expr for query in panel_queries("17s")]
    assert any("[17s]" in expr for expr in exprs)
    assert not any("[1m]" in expr for expr in exprs)


def test_queries_are_distinguished() -> None:
    """Dashboard, panel and letter name one query."""
    queries = panel_queries("1m")
    keys = {(query.board, query.panel, query.ref) for query in queries}
    assert len(keys) == len(queries)
    assert {query.board for query in queries} == set(BOARDS)


def test_status_query() -> None:
    """A whole query, as Prometheus gets it."""
    expected = PanelQuery("ml-api-monitoring", "API Status", "A", 'up{job="ml-api",instance=~".+"}')
    assert panel_queries("1m")[0] == expected
