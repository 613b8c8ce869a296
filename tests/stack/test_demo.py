"""The main job, and what its living stack shows: panels, vocabulary, report."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from testbed.clients.prometheus import PrometheusClient
from testbed.recipes import Recipe, read_recipes
from testbed_grafana import container_monitoring
from testbed_otel import names
from testbed_otel.aliases import ALIASES, aliases_of

from tests.browser import browsing
from tests.support.accessibility import (
    announced_again,
    contrast_problems,
    keyboard_problems,
    listen,
    structure_problems,
)
from tests.support.commandline import CommandLine
from tests.support.panels import panel_queries
from tests.support.polling import wait_for
from tests.support.shown import BY_SETTING, NUMBERS, OF_NUMBERS
from tests.support.typedpage import blocks_of, spans_of
from tests.support.verdictpage import unexplained

from .playing import played

# Every metric that the five systems name, with its labels: system, metric, series, labels.
SEEDS: tuple[tuple[str, str, set[str]], ...] = (
    ("fastapi-instrumentator", "http_requests_total", {"method", "endpoint", "status"}),
    ("fastapi-instrumentator", "http_request_duration_seconds_bucket", {"method", "endpoint"}),
    ("fastapi-instrumentator", "data_drift_score", set()),
    ("fastapi-instrumentator", "node_cpu_seconds_total", {"cpu", "mode"}),
    ("fastapi-instrumentator", "node_memory_MemAvailable_bytes", set()),
    ("fastapi-instrumentator", "node_filesystem_avail_bytes", {"mountpoint"}),
    ("titanic", "ml_predictions_total", {"model_version", "prediction_class"}),
    ("titanic", "ml_prediction_latency_seconds_bucket", set()),
    ("titanic", "ml_prediction_errors_total", {"model_version", "error_type"}),
    ("titanic", "ml_prediction_confidence", {"class"}),
    ("titanic", "ml_prediction_confidence_summary_sum", set()),
    ("titanic", "ml_prediction_confidence_summary_count", set()),
    ("titanic", "ml_data_drift_detected_total", {"feature"}),
    ("titanic", "ml_data_drift_score", set()),
    ("titanic", "ml_model_accuracy", {"model_version"}),
    ("titanic", "ml_monitoring_requests_total", set()),
    ("ml-api", "api_requests_total", {"method", "endpoint", "status"}),
    ("ml-api", "api_request_duration_seconds_bucket", {"method", "endpoint"}),
    ("ml-api", "api_active_requests", set()),
    ("ml-api", "api_errors_total", {"endpoint", "error_type"}),
    ("ml-api", "model_loaded", set()),
    ("ml-api", "model_inference_duration_seconds_bucket", set()),
    ("ml-api", "predictions_total", {"outcome"}),
    ("churn", "up", set()),
    ("churn", "http_requests_total", {"method", "endpoint", "status"}),
    ("churn", "http_request_duration_seconds_bucket", {"method", "endpoint"}),
)
# What the pages on the drift job ask Prometheus: blocks, and code that is more than a name.
ASKED = [
    query
    for page in ("how-to/drift-windows.md", "how-to/model-quality.md")
    for query in (
        *blocks_of(page, "promql"),
        *(each for each in spans_of(page) if re.search(r"ml_\w+\{|\(.*ml_|- ml_", each)),
    )
]
# Its demo may have to be played twice.
pytestmark = pytest.mark.timeout(1600)
OF_SCRAPES = {"__name__", "job", "instance", "le"}


@dataclass(frozen=True)
class Demo:
    """A demo that has ended while its stack still lives."""

    folder: Path
    output: str
    prometheus: PrometheusClient
    start: float
    end: float

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict file."""
        loaded: dict[str, Any] = json.loads((self.folder / "verdict.json").read_text())
        return loaded


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, tools: None) -> Iterator[Demo]:  # noqa: ARG001 - needed first
    """Play the demo once and keep its stack."""
    line = CommandLine(tmp_path_factory.mktemp("demo"))
    with played(line, "demo") as (process, folder):
        run = json.loads((folder / "run.json").read_text())
        times = json.loads((folder / "verdict.json").read_text())
        with PrometheusClient(
            f"http://{run['endpoints']['prometheus:9090']}/{run['intake']}"
        ) as client:
            yield Demo(folder, line.output, client, times["started_at"], times["ended_at"])
    wait_for(lambda: not line.left(), 15, "processes are left")
    assert process.returncode == 0, "Ctrl-C after the verdict must keep the verdict's exit code"


def test_the_demo_passes(demo: Demo) -> None:
    """Both alarms fire and nothing else; the table says so."""
    assert demo.verdict["passed"], demo.output
    fired = {a["alert"] for a in demo.verdict["alerts"]}
    assert fired - {"ConceptDrift", "Watchdog"} == {"DataDrift", "HighErrorRate"}
    assert "Watchdog" in fired
    assert "PASSED" in demo.output


def test_the_run_leaves_its_results(demo: Demo) -> None:
    """The report works offline, and machines can read the rest."""
    html = (demo.folder / "report.html").read_text()
    assert "HighErrorRate" in html
    page = re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="https?://', page), "the report must work offline"
    assert "<script src" not in html
    junit = (demo.folder / "junit.xml").read_text()
    assert "<testcase" in junit
    assert "<failure" not in junit
    assert list((demo.folder / "drift").glob("drift_*.html")), "the drift job wrote no report"
    timeline = (demo.folder / "timeline.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in timeline]
    assert events[events.index("settled") :][:4] == [
        "settled",
        "collected",
        "evaluated",
        "reported",
    ]


@pytest.mark.parametrize(
    "query",
    panel_queries(5),
    ids=lambda query: query.where.replace(" ", "_"),
)
def test_every_panel_shows_data(demo: Demo, query: Any) -> None:  # noqa: ANN401 - the parameter
    """No panel is empty or broken over a demo; those of containers parse, for there are none."""
    series = demo.prometheus.query_range(query.expr, start=demo.start, end=demo.end, step=1.0)
    if query.where.startswith(f"{container_monitoring.UID}:"):
        assert not series
        return
    values = [value for each in series for _, value in each.points]
    by_setting = any(metric.prometheus in query.expr for metric in BY_SETTING)
    if by_setting or NUMBERS.search(query.expr):
        assert not values
    else:
        assert any(math.isfinite(value) for value in values), query.expr


@pytest.mark.parametrize(
    "recipe", read_recipes(), ids=lambda recipe: f"{recipe.preset}-{recipe.what}".replace(" ", "_")
)
def test_every_recipe_returns_data(demo: Demo, recipe: Recipe) -> None:
    """What users of the other systems ask works as written; without containers, it parses."""
    if recipe.containers:
        assert demo.prometheus.query(recipe.expr) == []
        return
    series = demo.prometheus.query_range(recipe.expr, start=demo.start, end=demo.end, step=1.0)
    values = [value for each in series for _, value in each.points]
    assert any(math.isfinite(value) for value in values), recipe.expr


@pytest.mark.parametrize("query", ASKED)
def test_every_query_of_the_pages_on_drift_returns_data(demo: Demo, query: str) -> None:
    """What they tell their readers to ask finds something."""
    series = demo.prometheus.query_range(query, start=demo.start, end=demo.end, step=1.0)
    assert any(math.isfinite(value) for each in series for _, value in each.points), query


def test_every_check_of_the_demo_is_explained(demo: Demo) -> None:
    """By the page on verdicts."""
    assert unexplained([check["name"] for check in demo.verdict["checks"]]) == []


@pytest.mark.parametrize(("preset", "series", "labels"), SEEDS)
def test_every_name_of_the_other_systems_is_stored(
    demo: Demo, preset: str, series: str, labels: set[str]
) -> None:
    """Their metrics are in Prometheus, under their labels."""
    del preset
    found = demo.prometheus.query(f"last_over_time({series}[10m])")
    assert found
    for item in found:
        assert labels <= set(item.labels)
        if not series.startswith(("up", "node_")):
            assert set(item.labels) <= labels | OF_SCRAPES


def test_their_names_are_on_the_metrics_page(demo: Demo) -> None:
    """Who scrapes the API finds all but what the drift job and the machine have."""
    run = json.loads((demo.folder / "run.json").read_text())
    page = httpx.get(f"http://{run['endpoints']['api:8000']}/metrics", timeout=30).text
    elsewhere = ("up", "node_", "data_drift_", "ml_data_drift_")
    for _, series, _ in SEEDS:
        if not series.startswith(elsewhere):
            assert re.search(rf"^{series}[ {{]", page, re.MULTILINE), series


def console_of(demo: Demo) -> str:
    """Base URL of its console."""
    run = json.loads((demo.folder / "run.json").read_text())
    return f"http://{run['endpoints']['console:9070']}"


def test_no_link_of_the_console_fails(demo: Demo) -> None:
    """Its own pages, those of the components, and where Prometheus's alerts lead."""
    console = console_of(demo)
    pages = ["/", "/query?expr=up", "/rules", "/targets", "/traces", "/logs"]
    links = dict.fromkeys(f"{console}{page}" for page in pages)
    for page in list(links):
        html = httpx.get(page, timeout=30).text
        for link in re.findall(r'href="([^"#]+)"', html):
            if not link.startswith("data:"):
                links[urljoin(page, unescape(link))] = None
    run = json.loads((demo.folder / "run.json").read_text())
    alerts = httpx.get(f"http://{run['endpoints']['alertmanager:9093']}/api/v2/alerts", timeout=30)
    leading = [alert["generatorURL"] for alert in alerts.json()]
    assert leading
    below = f"{console}/{run['intake']}"
    assert all(link.startswith(f"{below}/graph?g0.expr=") for link in leading)
    first = httpx.get(f"http://{run['endpoints']['prometheus:9090']}/", follow_redirects=True)
    assert (first.status_code, "<title>" in first.text) == (200, True), first.url
    for link in [*links, *leading]:
        assert httpx.get(link, timeout=30, follow_redirects=True).status_code == 200, link
    assert any("/traces/" in link for link in links)
    assert any("/runbooks/" in link for link in links)


def test_the_console_in_a_browser(demo: Demo, program: Callable[..., str], tmp_path: Path) -> None:
    """It is pushed what changes, fits 400 pixels, goes by keyboard, and is light or dark."""
    console = console_of(demo)
    with browsing(program("chromium", "google-chrome"), tmp_path / "profile") as tab:
        tab.look(1280)
        tab.open(console)
        for shown in ("over", "HighErrorRate", "DataDrift", "warning", "heartbeat", "collector"):
            assert shown in tab.text, shown
        assert tab.ask("document.querySelectorAll('svg polyline').length") >= 4
        assert tab.ask("document.querySelector('form') === null"), "a run lets nothing be changed"
        tab.ask("document.getElementById('part-charts').textContent = 'gone'")
        wait_for(lambda: "p95" in tab.text, 30, "nothing was pushed")
        tab.ask("document.body.focus()")
        tab.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab")
        assert tab.ask("document.activeElement.textContent") == "Skip to the content"
        light = tab.ask("getComputedStyle(document.body).backgroundColor")
        tab.look(400, dark=True)
        assert tab.ask("getComputedStyle(document.body).backgroundColor") != light
        for page in ("/", "/query?expr=up", "/rules", "/targets", "/traces", "/logs"):
            tab.look(400, dark=True)
            tab.open(f"{console}{page}")
            assert tab.ask("document.documentElement.scrollWidth") == 400, page
            assert structure_problems(tab) == contrast_problems(tab) == [], page
            assert keyboard_problems(tab) == [], page
        listen(tab)
        tab.open(console)
        tab.ask("document.getElementById('part-charts').textContent = 'gone'")
        wait_for(lambda: "p95" in tab.text, 30, "nothing was pushed")
        assert announced_again(tab) == [], "a summary is read out only where it changes"
        tab.open(f"{console}/query")
        tab.ask("document.querySelector('textarea').value = 'up{'")
        tab.ask("document.querySelector('button').click()")
        wait_for(lambda: "parse error" in tab.text, 30, "a bad query was not refused")
        tab.ask("document.querySelector('textarea').value = 'sum by (job) (up)'")
        tab.ask("document.querySelector('button').click()")
        wait_for(lambda: 'job="prometheus"' in tab.text, 30, "a query has no answer")
        assert tab.ask("document.querySelectorAll('svg polyline').length") >= 4
        tab.open(f"{console}/traces?order=slowest")
        tab.ask("document.querySelector('tbody a').click()")
        wait_for(lambda: tab.ask("document.querySelector('.waterfall rect.bar') !== null"))


def test_nothing_is_entered_by_hand_in_a_run(demo: Demo) -> None:
    """What a verdict is made of comes from traffic only; totals are there to look at."""
    run = json.loads((demo.folder / "run.json").read_text())
    address = f"http://{run['endpoints']['api:8000']}/monitoring"
    entry = "model_version=test&accuracy=0.5"
    assert httpx.post(f"{address}/test/accuracy?{entry}", timeout=30).status_code == 404
    stats = httpx.get(f"{address}/stats", timeout=30).json()
    sent = json.loads((demo.folder / "truth" / "end.json").read_text())
    assert sent["requests"] + sent["missed"] == 4200
    assert stats["predictions"] == sent["requests"] - stats["errors_by_type"]["injected"]
    assert 0.5 < stats["mean_confidence"] <= 1


def test_the_vocabulary_is_what_prometheus_holds(demo: Demo) -> None:
    """Every metric of ours is stored, and nothing of ours is stored that it doesn't name."""
    known = {name for metric in names.METRICS for name in metric.prometheus_series}
    known |= {name for alias in aliases_of(ALIASES) for name in alias.series}
    pattern = f'{{job=~"{names.SERVICE_API}|{names.SERVICE_DRIFT}"}}'
    window = f"{demo.end - demo.start + 60:.0f}s"
    series = demo.prometheus.query(f"group by (__name__) (last_over_time({pattern}[{window}]))")
    stored = {item.labels["__name__"] for item in series}
    # Of the SDK's metrics about itself, the vocabulary names those that rules and checks use.
    stored -= {name for name in stored if name.startswith("otel_sdk_")} - known
    assert stored - known <= set(names.FOREIGN_SERIES) | {
        "scrape_duration_seconds",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    }
    absent = (*BY_SETTING, *OF_NUMBERS)
    assert known - stored <= {name for metric in absent for name in metric.prometheus_series}


def test_metrics_show_the_same_over_both_ways(demo: Demo) -> None:
    """What Prometheus got over OTLP bears the labels of the vocabulary and no other."""
    for metric in names.METRICS:
        allowed = {names.label(key) for key in metric.attributes} | {
            *("__name__", "job", "instance", "le"),
        }
        for name in metric.prometheus_series:
            for item in demo.prometheus.query(f"last_over_time({name}[10m])"):
                assert set(item.labels) <= allowed | {"__name__"}, name
