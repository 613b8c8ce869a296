"""Dashboards: each query runs, finds what its metrics have, and shows what the load saw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed.charts import HTTP_COUNT
from testbed.clients.prometheus import PrometheusClient
from testbed.errors import StackError, UsageError
from testbed.facts.boards import Boards, PanelFacts, Unmatched, run_queries
from testbed.facts.panels import DashboardQuery, anatomy, fill, read_panels
from testbed.facts.panelvalues import Moves, View
from testbed.facts.sources import RunSpan, Sources
from testbed.layout import RunLayout
from testbed.phases import PhaseRow
from testbed.records import DriftRun
from testbed.resources import root
from testbed.scenario import Scenario
from testbed.targets import BundledApi
from testbed.truth import Truth
from testbed_otel import names
from testbed_rules.selectors import LabelMatcher

from tests.unit.verdict.conftest import FACTOR, PHASES, SCENARIO, make_requests

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.verdict.conftest import World

RATE = f"rate({HTTP_COUNT}[2s])"
LABELS = {
    "__name__": HTTP_COUNT,
    "job": "ml-api",
    "http_route": "/predict",
    "http_response_status_code": "200",
}


class FakePrometheus:
    """Holds one counter; refuses what is no PromQL and returns nothing for other jobs."""

    def __init__(self, rate: float = 10.0) -> None:
        self.rate = rate

    def client(self) -> PrometheusClient:
        """A client that talks to it."""
        return PrometheusClient("http://prometheus", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        query = httpx.QueryParams(request.content.decode())["query"]
        if query.startswith("last_over_time("):
            found = [{"metric": LABELS, "value": [1050.0, "500"]}] if HTTP_COUNT in query else []
            return self._data("vector", found)
        if "((" in query:
            return httpx.Response(400, json={"status": "error", "error": "parse error"})
        if "gone" in query:
            raise httpx.ConnectError("connection refused")
        values = [[float(at), str(self.rate)] for at in range(1000, 1050)]
        metric = {k: v for k, v in LABELS.items() if k != "__name__"}
        found = [] if "other" in query else [{"metric": metric, "values": values}]
        return self._data("matrix", found)

    @staticmethod
    def _data(kind: str, result: list[dict[str, Any]]) -> httpx.Response:
        data = {"resultType": kind, "result": result}
        return httpx.Response(200, json={"status": "success", "data": data})


def run(tmp_path: Path, expr: str, *legend: str, unit: str = "") -> Boards:
    """Run one query."""
    with FakePrometheus().client() as client:
        sources = Sources(
            prometheus=client,
            alertmanager=None,
            layout=RunLayout(tmp_path),
            scenario=Scenario.model_validate(SCENARIO),
            factor=FACTOR,
            truth=Truth(None, None, tuple(make_requests())),
            target=BundledApi(),
            target_pages={},
            log_url="",
            span=RunSpan(995.0, 1050.0, 0.5),
            phases=tuple(PhaseRow(name=n, start=s, end=e) for n, s, e in PHASES),
        )
        return run_queries(sources, [DashboardQuery("board: panel A", expr, legend, unit)], 2.0)


def panel(**facts: object) -> PanelFacts:
    """A panel whose query returns data."""
    known = {"where": ("board: panel A",), "expr": RATE, "returned": 1, "finite": True}
    return PanelFacts.model_validate(known | {"selects": True} | facts)


def failing(world: World, *panels: PanelFacts, foreign: tuple[str, ...] = ()) -> dict[str, str]:
    """What the verdict says of these panels."""
    world.boards = Boards(panels=panels, foreign=foreign)
    return world.failed()


def moves(expected: float | None = None, **by_phase: float | None) -> tuple[Moves, ...]:
    """The same value throughout each phase, and what the load saw."""
    return tuple(
        Moves(phase=name, mean=v, maximum=v, expected=expected) for name, v in by_phase.items()
    )


def test_variables_are_filled_in() -> None:
    """Times become the window, all else everything; ends of patterns are no variables."""
    written = 'rate(a{b=~"$b",c=~"${c:regex}",d=~"x$"}[$__rate_interval])'
    assert fill(written, "2000ms") == 'rate(a{b=~".+",c=~".+",d=~"x$"}[2000ms])'


def test_panels_are_read_from_grafanas_files(tmp_path: Path) -> None:
    """Panels of collapsed rows and variables count; another file is refused in one line."""
    inner = {"title": "B", "targets": [{"refId": "A", "expr": "up", "legendFormat": "{{job}}"}]}
    variable = {"name": "instance", "definition": 'label_values(up{job="x"}, instance)'}
    board = {
        "uid": "mine",
        "panels": [{"title": "row", "panels": [inner]}],
        "templating": {"list": [variable]},
    }
    (tmp_path / "mine.json").write_text(json.dumps(board))
    assert read_panels(tmp_path, 2.0) == (
        DashboardQuery("mine: B A", "up", ("job",)),
        DashboardQuery("mine: variable instance", 'up{job="x"}', ("instance",)),
    )
    (tmp_path / "mine.json").write_text("[]")
    with pytest.raises(UsageError, match="not a dashboard"):
        read_panels(tmp_path, 2.0)


def test_every_shipped_query_can_be_taken_apart() -> None:
    """The parser knows all of PromQL that the dashboards use."""
    queries = read_panels(root() / "grafana" / "dashboards", 2.0)
    assert len(queries) > 100
    assert all(anatomy(query.expr).selectors for query in queries)


def test_an_expression_is_taken_apart() -> None:
    """Selectors with their matchers, what is rated, groupings and filtering comparisons."""
    found = anatomy('sum by (c) (rate(a{b=~"x|y"}[2s])) > 1 and up == bool 0')
    assert [(s.metric, s.rated) for s in found.selectors] == [("a", True), ("up", False)]
    assert found.selectors[0].matchers == (LabelMatcher("b", "=~", "x|y"),)
    assert (found.grouping, found.filters, found.plain) == (("c",), (">",), False)
    assert [m.value for m in found.selectors[0].matchers[0].alternatives] == ["x", "y"]


def test_facts_of_a_sound_query(tmp_path: Path) -> None:
    """It returns numbers, and a request rate is kept by phase."""
    boards = run(tmp_path, f"sum by (http_route) ({RATE})", "http_route")
    (found,) = boards.panels
    assert boards.foreign == ()
    assert (found.returned, found.finite, found.selects, found.counted) == (1, True, True, 500)
    assert (found.absent, found.unmatched, found.unlabelled) == ((), (), ())
    assert (found.kind, found.whole) == ("requests", True)
    assert [(m.phase, m.mean) for m in found.moves] == [(name, 10.0) for name, _, _ in PHASES]
    assert [m.expected for m in found.moves] == pytest.approx([10.0] * 3, abs=0.5)
    (found,) = run(tmp_path, f"sum(rate({names.PREDICTIONS.prometheus}[2s]))").panels
    assert [m.expected for m in found.moves] == pytest.approx([10.0, 5.0, 10.0], abs=0.8)


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        ([], 0),
        ([1000.0] * 24, 0),  # the first sample of the series
        ([1000.0, *[1006.0] * 24], 24),
        ([1000.0, *[1007.5] * 24], 0),  # on their way as the last value was asked for
        ([1000.0, *[1003.5] * 24], 0),  # between what two values look back on
        ([1000.0, *[1002.0] * 24, *[1006.0] * 3, *[1010.0] * 24], 27),
    ],
)
def test_errors_that_values_must_speak_of(failed: list[float], told: int) -> None:
    """Of two values, each a rate over 4 s, the second at the end of the phase."""
    view = View([("normal", 1000.0, 1008.0)], 4.0, [], [], failed)
    (found,) = view.moves("errors", {1004.0: 0.0, 1008.0: 0.0})
    assert found.expected == told


def test_errors_of_which_no_value_speaks() -> None:
    """A phase without any value lacks those that one at its end would tell."""
    view = View([("normal", 1000.0, 1008.0)], 4.0, [], [], [1000.0, *[1006.0] * 24])
    (found,) = view.moves("errors", {})
    assert (found.maximum, found.expected) == (None, 24)


@pytest.mark.parametrize(
    ("expr", "unit", "kind"),
    [
        (f"sum(increase({HTTP_COUNT}[2s]))", "reqps", "requests"),
        (f"sum(increase({HTTP_COUNT}[2s]))", "", None),
        (f"60 * sum({RATE})", "reqps", "requests"),
        (f"60 * sum({RATE})", "reqpm", None),
        (f"avg({RATE})", "reqps", None),
        (f"{HTTP_COUNT}", "reqps", None),
    ],
)
def test_what_a_panel_claims_to_be_a_rate_is_held_against_the_load(
    tmp_path: Path, expr: str, unit: str, kind: str | None
) -> None:
    """By its unit, unless it shows something of a rate that is none."""
    (found,) = run(tmp_path, expr, unit=unit).panels
    assert found.kind == kind


def test_facts_of_broken_queries(tmp_path: Path) -> None:
    """Each way to be wrong leaves its fact."""
    (found,) = run(tmp_path, f"(({RATE}").panels
    assert "parse error" in (found.error or "")
    assert run(tmp_path, "http_servr_requests").foreign == ("http_servr_requests",)
    (found,) = run(tmp_path, f'rate({HTTP_COUNT}{{job="ml-apy"}}[2s])').panels
    assert [str(each.matcher) for each in found.unmatched] == ['job="ml-apy"']
    (found,) = run(tmp_path, f"sum by (http_rout) ({RATE})", "http_rout").panels
    assert "http_rout" in found.unlabelled


def test_a_prometheus_that_does_not_answer_is_no_broken_query(tmp_path: Path) -> None:
    """What is to blame is not the panel."""
    with pytest.raises(StackError, match="does not answer"):
        run(tmp_path, "gone")


def test_sound_panels_pass(world: World) -> None:
    """All of them run and show what the load saw."""
    shown = moves(10.0, normal=10.0, burst=10.0, recovery=10.0)
    errors = panel(kind="errors", moves=moves(normal=0.0, burst=5.0, recovery=0.0))
    assert not failing(world, panel(kind="requests", moves=shown), errors)
    (queries,) = (c for c in world.evaluate().checks if c.name == "panel queries")
    assert "All 2 panel queries run" in queries.summary


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"error": "parse error"}, "refuses it: parse error"),
        ({"absent": ("mll_x",)}, "mll_x is not in the vocabulary"),
        ({"unlabelled": ("rout",)}, "the label rout"),
        ({"returned": 0}, "returns nothing"),
        ({"finite": False}, "returns no number"),
        ({"returned": 0, "filters": ("==",), "expr": "ml_drift_decision == 2"}, "returns nothing"),
    ],
)
def test_a_broken_panel_fails(world: World, facts: dict[str, Any], says: str) -> None:
    """The summary names the panel and what is wrong."""
    said = failing(world, panel(**facts), foreign=("mll_x",))
    assert "board: panel A" in said["panel queries"]
    assert says in said["panel queries"]


@pytest.mark.parametrize(
    "facts",
    [
        {"returned": 0, "absent": ("container_last_seen",), "selects": False},
        {"returned": 0, "filters": (">",), "expr": "ml_data_quality_column > 0"},
        {"returned": 0, "counted": 3.0},
        {"finite": False, "counted": 0.0},
    ],
)
def test_what_a_run_has_not_is_no_failure(world: World, facts: dict[str, Any]) -> None:
    """Absent metrics, comparisons that drop all, and counters that stood still."""
    assert not failing(world, panel(**facts))


def test_absent_metrics_are_named(world: World) -> None:
    """What was not checked is said."""
    world.boards = Boards(panels=(panel(returned=0, absent=("container_last_seen",)),))
    (queries,) = (c for c in world.evaluate().checks if c.name == "panel queries")
    assert queries.passed
    assert "container_last_seen" in queries.details[0]


@pytest.mark.parametrize(
    ("metric", "label", "value", "passes"),
    [
        (HTTP_COUNT, "http_response_status_code", "4..", True),
        (HTTP_COUNT, "http_response_status_code", "5..", False),  # the load saw some
        (HTTP_COUNT, "http_response_status_code", "6..", False),
        (HTTP_COUNT, "job", "ml-apy", False),
        (names.PREDICTION_ERRORS.prometheus, "error_type", "validation", True),
        (names.PREDICTION_ERRORS.prometheus, "error_type", "validaton", False),
        ("ALERTS", "alertstate", "firing", True),
        ("ALERTS", "alertstate", "fireing", False),
    ],
)
def test_matchers_that_find_nothing(
    world: World, metric: str, label: str, value: str, *, passes: bool
) -> None:
    """A value that can occur and did not is fine; one that cannot, or should have, is not."""
    each = Unmatched(metric=metric, label=label, operator="=~", value=value, known=True)
    assert ("panel queries" not in failing(world, panel(unmatched=(each,)))) == passes


@pytest.mark.parametrize(
    ("kind", "whole", "shown", "says"),
    [
        ("requests", True, {"normal": 5.0}, "5.0 per second in normal"),
        ("requests", True, {"normal": 20.0}, "20.0 per second"),
        ("requests", False, {"normal": 16.0}, None),
        ("requests", True, {"normal": None}, None),
        ("answers", True, {"burst": 10.0}, "where the load saw 5.0"),
        ("answers", True, {"burst": 5.2}, None),
        ("errors", False, {"burst": 0.0}, "no error in burst"),
        ("errors", False, {"burst": None}, "no error in burst"),
        ("errors", False, {"normal": None}, None),
        ("drift", True, {"burst": 0.0, "recovery": 0.0}, "the drift job found 0.5"),
        ("drift", True, {"burst": 0.5, "recovery": 0.5}, None),
    ],
)
def test_values_are_held_against_the_load(
    world: World, kind: str, shown: dict[str, float | None], says: str | None, *, whole: bool
) -> None:
    """Rates, errors and the drift share move as the load and the drift job say."""
    world.drift_runs = [DriftRun(1020.0, "success", "NO_ACTION", 0.5)]
    seen = {"requests": 10.0, "answers": 5.0, "errors": 50.0 if "burst" in shown else 0.0}.get(kind)
    said = failing(world, panel(kind=kind, whole=whole, moves=moves(seen, **shown)))
    if says is None:
        assert "panel values" not in said
    else:
        assert says in said["panel values"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "restart", "component": "collector", "down": "1m"},
        {"kind": "otlp", "to": "prometheus"},
    ],
)
def test_phases_in_which_measurements_are_held_up_have_no_rate(
    world: World, fault: dict[str, str]
) -> None:
    """Nobody knows what Prometheus got in between."""
    world.scenario["phases"][0]["faults"] = [fault]
    facts = panel(kind="requests", moves=moves(10.0, normal=1.0))
    assert "panel values" not in failing(world, facts)
