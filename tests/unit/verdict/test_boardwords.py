"""Dashboards against what makes them, and panels against their own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testbed.checks.stages import Stage
from testbed.facts.boards import Boards, PanelFacts
from testbed.facts.boardwords import contradictions, unlike_source
from testbed_grafana.files import documents, write

from .conftest import World

SECONDS = "http_server_request_duration_seconds"
P95 = f"histogram_quantile(0.95, sum by (le) (rate({SECONDS}_bucket[$__rate_interval])))"
MEAN = f"sum(rate({SECONDS}_sum[1m])) / sum(rate({SECONDS}_count[1m]))"


def test_the_shipped_dashboards_are_sound(tmp_path: Path) -> None:
    """They are what their source makes, and their words fit; one that is not there is none."""
    write(tmp_path)
    assert unlike_source(tmp_path, documents()) == ()
    assert contradictions(tmp_path) == ()
    (tmp_path / "api-performance.json").unlink()
    assert unlike_source(tmp_path, documents()) == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"unit": "cps"', '"unit": "ms"', 'unit is "ms", its source says "cps"'),
        ("sum by (error_type)", "avg by (error_type)", "Failed Predictions: targets A: expr is"),
        ("5..", "4..", "Errors, 4xx and 5xx: targets"),
        ('"title": "Failed Predictions"', '"title": "Errors"', 'title is "Errors"'),
    ],
)
def test_a_file_that_was_changed_by_itself_is_found(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    """In its queries, units and texts."""
    write(tmp_path)
    path = tmp_path / "api-performance.json"
    path.write_text(path.read_text().replace(old, new))
    lines = unlike_source(tmp_path, documents())
    assert any(says in line and line.startswith("api-performance") for line in lines)


def test_entries_that_are_gone_or_new_are_found(tmp_path: Path) -> None:
    """A panel, and a setting."""
    write(tmp_path)
    path = tmp_path / "api-performance.json"
    board = json.loads(path.read_text())
    board["panels"].pop()
    board["refresh"] = board.pop("title")
    path.write_text(json.dumps(board))
    text = "\n".join(unlike_source(tmp_path, documents()))
    assert "entries, its source has" in text
    assert "api-performance: title is missing" in text


def panel(
    expr: str, *, title: str = "Latency", legend: str = "", unit: str = "s"
) -> dict[str, Any]:
    """A panel of one query."""
    return {
        "title": title,
        "fieldConfig": {"defaults": {"unit": unit}},
        "targets": [{"refId": "A", "expr": expr, "legendFormat": legend}],
    }


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (panel(P95, title="Latency p99"), "it says p99 and shows the quantile 0.95"),
        (panel(P95, title="p50/p95", legend="p50"), "it says p50 and shows the quantile 0.95"),
        (panel(P95, unit="ms"), "its values are in seconds, its unit is ms"),
        (panel(MEAN, unit="ms"), "its values are in seconds, its unit is ms"),
        (panel(P95, title="Latency p95"), None),
        (panel(P95, title="p50/p95", legend="p95 {{http_route}}"), None),
        (panel(f"1000 * {MEAN}", unit="ms"), None),
        (panel(f"sum(rate({SECONDS}_count[1m]))", unit="ms"), None),
        (panel("not PromQL(", title="p95", unit="ms"), None),
    ],
)
def test_words_of_a_panel(tmp_path: Path, one: dict[str, Any], says: str | None) -> None:
    """Its title or legend, and its unit, wherever the panel stands."""
    board = {"panels": [{"title": "Row", "panels": [one]}]}
    (tmp_path / "mine.json").write_text(json.dumps(board))
    found = contradictions(tmp_path)
    assert found == (() if says is None else (f"mine: {one['title']} A: {says}",))


@pytest.mark.parametrize("field", ["unlike_source", "contradictions"])
def test_the_dashboard_is_named(world: World, field: str) -> None:
    """Either is the dashboard's fault."""
    shown = PanelFacts(where=("b: p A",), expr="up", returned=1, finite=True, selects=True)
    world.boards = Boards(panels=(shown,))
    assert not world.evaluate().failed
    world.boards = Boards.model_validate({"panels": (shown,), field: ("b: p: unit is wrong",)})
    (check,) = world.evaluate().failed
    assert (check.name, check.stage) == ("dashboards drawn", Stage.DASHBOARD)
    assert "b: p: unit is wrong" in check.summary
