"""The committed dashboards: generated, complete, and in the vocabulary's words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
from testbed_grafana import ml_api_monitoring
from testbed_grafana.boards import BOARDS
from testbed_grafana.files import FOLDER, stale
from testbed_otel import names

from tests.support.panels import panel_queries
from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.facts.panels import DashboardQuery

KNOWN_SERIES = {
    *names.FOREIGN_SERIES,
    *(series for metric in names.METRICS for series in metric.prometheus_series),
}
EIGHT_PANELS = (
    "API Status",
    "Model Status",
    "Request Rate per Endpoint",
    "Request Latency p50/p95/p99",
    "Model Inference Time p50/p95/p99",
    "Predictions per Outcome",
    "Error Rate by Endpoint and Type",
    "Active Requests",
)


def load(uid: str) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{uid}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard."""
    return load(request.param)


def test_quantiles_lead_to_traces(board: dict[str, Any]) -> None:
    """Every graph of a histogram shows its exemplars, and nothing else asks for any."""
    for panel in panels(board):
        for target in panel.get("targets", ()):
            quantile = "histogram_quantile(" in target["expr"] and target.get("range", False)
            assert target.get("exemplar", False) == quantile, panel["title"]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels without the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def selected(node: object) -> set[str]:
    """Names of the series that a parsed expression selects."""
    found: set[str] = set()
    if isinstance(node, promql_parser.VectorSelector):
        found.add(str(node.name))
    elif isinstance(node, promql_parser.MatrixSelector):
        found |= selected(node.vector_selector)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            found |= selected(argument)
    elif isinstance(node, promql_parser.BinaryExpr):
        found |= selected(node.lhs) | selected(node.rhs)
    elif isinstance(node, promql_parser.AggregateExpr | promql_parser.ParenExpr):
        found |= selected(node.expr)
    return found


def test_committed_files_are_current() -> None:
    """The JSON in the repository is what the Python source gives."""
    assert stale(FOLDER) == []
    assert {path.stem for path in FOLDER.iterdir()} == set(BOARDS)


def test_titles_are_those_people_look_for() -> None:
    """The dashboard of an ML API, four of the preset titanic, that of versions and segments."""
    assert {load(uid)["title"] for uid in BOARDS} == {
        "ML API Monitoring",
        "System Overview",
        "API Performance",
        "Container Monitoring",
        "ML Model Metrics",
        "Model Versions",
    }


def test_business_figures_have_panels() -> None:
    """What decisions cost stands on the model's dashboard."""
    expressions = [
        target["expr"] for panel in panels(load("ml-model-metrics")) for target in panel["targets"]
    ]
    series = names.BUSINESS_COST.prometheus
    assert len([expr for expr in expressions if series in expr]) == 3


def test_versions_and_segments_can_be_chosen() -> None:
    """Each panel of a row obeys the variables that the row is about, thresholds aside."""
    board = load("model-versions")
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert "$model_version" in variables["segment"]["definition"]
    row = ""
    for panel in board["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
            continue
        shown = [t["expr"] for t in panel["targets"] if "threshold" not in t["expr"]]
        if row != "Retraining":
            assert all('model_version=~"$model_version"' in expr for expr in shown), panel["title"]
        if row == "Segments" and panel["title"] != "Segments by State":
            assert all('segment=~"$segment"' in expr for expr in shown), panel["title"]


@pytest.mark.parametrize("group", ["ml.retraining.", "segment", "ml.drift.version."])
def test_what_the_job_reports_of_groups_has_a_panel(group: str) -> None:
    """No metric of retraining, segments or versions is measured without being shown."""
    reported = [metric.prometheus for metric in names.METRICS if group in metric.name]
    assert reported
    exprs = [query.expr for query in panel_queries(60)]
    assert [one for one in reported if not any(one in expr for expr in exprs)] == []


def test_eight_panels_come_first() -> None:
    """The eight panels of an ML API's dashboard stand at its top, in their order."""
    titles = [panel["title"] for panel in panels(load("ml-api-monitoring"))]
    assert tuple(titles[: len(EIGHT_PANELS)]) == EIGHT_PANELS


def test_queries_are_distinguished() -> None:
    """Dashboard, panel and letter name one query; every dashboard has some."""
    places = [query.where for query in panel_queries(60)]
    assert len(set(places)) == len(places)
    assert {place.partition(":")[0] for place in places} == set(BOARDS)


@pytest.mark.parametrize("query", panel_queries(60), ids=lambda query: query.where)
def test_queries_use_the_vocabulary(query: DashboardQuery) -> None:
    """Every query parses as PromQL and selects only series that the vocabulary holds."""
    series = selected(promql_parser.parse(query.expr))
    assert series
    assert series <= KNOWN_SERIES


def test_variables_use_the_vocabulary(board: dict[str, Any]) -> None:
    """What one chooses from comes from a series that the vocabulary holds, and starts with all."""
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
        assert found, variable["definition"]
        assert variable["query"]["query"] == variable["definition"]
        series = selected(promql_parser.parse(found[1].replace("$model_version", ".+")))
        assert series <= KNOWN_SERIES
        assert variable["current"]["value"] == ["$__all"]


def test_every_panel_explains_itself(board: dict[str, Any]) -> None:
    """Each panel has a description, a data source by variable, an id, queries with a legend."""
    for panel in panels(board):
        assert panel["description"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["legendFormat"] for target in panel["targets"])
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters), panel["title"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def test_graphs_have_units_and_legends(board: dict[str, Any]) -> None:
    """Each graph says its unit and shows its legend."""
    graphs = [panel for panel in panels(board) if panel["type"] == "timeseries"]
    assert graphs
    for panel in graphs:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["options"]["legend"]["showLegend"]


def test_rates_follow_the_resolution(board: dict[str, Any]) -> None:
    """No range is fixed: a fixed one is empty or coarse at some zoom or time scale."""
    ranges = {
        found
        for panel in panels(board)
        for target in panel["targets"]
        for found in re.findall(r"\[([^\]]*)\]", target["expr"])
    }
    assert ranges == {"$__rate_interval"}


def test_panels_do_not_overlap(board: dict[str, Any]) -> None:
    """No cell of the grid belongs to two panels."""
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        columns = range(at["x"], at["x"] + at["w"])
        cells = {(x, y) for x in columns for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(columns) < 24
        taken |= cells


@pytest.mark.parametrize(
    ("alert", "limit"),
    [
        ("HighLatency", ml_api_monitoring.LATENCY_LIMIT),
        ("SlowInference", ml_api_monitoring.INFERENCE_LIMIT),
        ("HighErrorRate", ml_api_monitoring.ERROR_RATE_LIMIT),
        ("HighConcurrentRequests", ml_api_monitoring.ACTIVE_REQUESTS_LIMIT),
    ],
)
def test_lines_stand_where_alerts_start(repository: Path, alert: str, limit: float) -> None:
    """The limit that a graph draws is the one that the rule compares with."""
    rules = [
        rule
        for file in sorted((repository / "prometheus" / "rules").glob("*.yml"))
        for group in load_yaml(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]
    (expr,) = (rule["expr"] for rule in rules if rule.get("alert") == alert)
    compared = re.search(r">\s*([\d.]+)\s*$", expr.strip())
    assert compared, expr
    assert float(compared[1]) == limit


def test_provisioned_uid_is_the_variables_default(repository: Path, board: dict[str, Any]) -> None:
    """The data source variable starts with a data source that provisioning makes."""
    folder = repository / "grafana" / "provisioning"
    sources = load_yaml((folder / "datasources" / "datasources.yaml").read_text())
    uids = {source["uid"]: source["url"] for source in sources["datasources"]}
    (variable,) = (v for v in board["templating"]["list"] if v["type"] == "datasource")
    assert uids[variable["current"]["value"]] == "http://prometheus:9090"
    assert uids["jaeger"] == "http://jaeger:16686"


def test_rate_interval_knows_the_scrape_interval(repository: Path) -> None:
    """Grafana's minimum step is Prometheus's scrape interval, or rates come out empty."""
    folder = repository / "grafana" / "provisioning"
    sources = load_yaml((folder / "datasources" / "datasources.yaml").read_text())
    (prometheus,) = (s for s in sources["datasources"] if s["uid"] == "prometheus")
    config = load_yaml((repository / "prometheus" / "prometheus.yml").read_text())
    assert prometheus["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
