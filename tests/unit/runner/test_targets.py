"""Services as targets: their file, their wiring, their rules, and the log made of the truth."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
import yaml
from pydantic import ValidationError
from testbed.clients.prometheus import Series
from testbed.componentnames import JOBS_TAKEN
from testbed.errors import StackError, UsageError
from testbed.facts.servicecounts import shown_on, stored_total, total_of
from testbed.layout import RunLayout
from testbed.preparation import Prepared
from testbed.resources import find_scenario, root
from testbed.runoptions import RunOptions
from testbed.scenario import Labels, read_scenario
from testbed.servicefile import read_service
from testbed.servicerules import write_service_rules
from testbed.stack.ports import PortClaims
from testbed.targets import TARGETS
from testbed.targets.http import HttpService
from testbed.targets.recorder import TruthRecorder
from testbed.targets.scoring import score_reference
from testbed_domain.artefact import load_artefact, served_elsewhere
from testbed_domain.logstore import open_log
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case
from testbed_load.errors import LoadError

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from testbed.clients.prometheus import PrometheusClient
    from testbed.stack.context import StackContext
    from testbed.stack.stack import Stack
    from testbed_domain.artefact import Artefact

SMALL = TrainingOptions(trees=2, depth=2, train_rows=120, test_rows=40, reference_rows=40)
SERVICE: dict[str, Any] = {
    "service": "shop",
    "command": "python app.py --port {http}",
    "rules": "./rules",
    "reply": {"prediction": "$.y"},
}


def written(folder: Path, **changes: object) -> Path:
    """A service file."""
    file = folder / "service.yaml"
    block = {key: value for key, value in (SERVICE | changes).items() if value is not None}
    file.write_text(yaml.safe_dump(block), encoding="utf-8")
    return file


def test_paths_of_a_file_begin_at_its_folder(tmp_path: Path) -> None:
    """Wherever the command is given."""
    found = cast("HttpService", read_service(written(tmp_path)))
    assert found.command == ("python", "app.py", "--port", "{http}")
    assert (found.directory, found.own_rules) == (str(tmp_path), tmp_path / "rules")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"command": None}, "give either command, which starts it, or url"),
        ({"url": "http://127.0.0.1:1"}, "give either command, which starts it, or url"),
        ({"command": None, "url": "ftp://x"}, "'ftp://x' is not an http(s) URL"),
        ({"command": None, "url": "http://x:99999"}, "'http://x:99999' is not an http(s) URL"),
        ({"command": "serve {grpc}"}, "asks for the port 'grpc'; name it in ports"),
        ({"metrics": [{"port": "metrics"}]}, "there is no port 'metrics' among ports"),
        ({"ports": ["web"]}, "one must be called http"),
        ({"service": "prometheus"}, "prometheus is the name of a component"),
        ({"counts": {"requests": "rate(x[5m])"}}, "is not a selector of series"),
        ({"counts": {"requests": "x{"}}, "is not PromQL"),
        ({"kind": "bundled"}, "bundled"),
        ({"kind": "triton"}, "triton"),
        ({"reddy": "/"}, "reddy"),
        ({"ready": "/a b"}, "ready: it holds a space or a control character"),
        ({"kind": "mlflow", "ready": "/a\n"}, "ready: it holds a space or a control character"),
        ({"metrics": [{"path": "/a\tb"}]}, "metrics[0].path: it holds a space or a control"),
        ({"metrics": [{"path": "a"}]}, "metrics[0].path must be a text like ^/"),
    ],
)
def test_file_that_is_wrong(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    """One line says what, and in which file."""
    with pytest.raises(UsageError) as caught:
        read_service(written(tmp_path, **changes))
    assert problem in str(caught.value)
    assert "service.yaml" in str(caught.value)


@pytest.mark.parametrize("name", ["error-burst", "model-lost", "log-failing", "slow-model"])
def test_scenario_that_only_the_bundled_api_can_play(tmp_path: Path, name: str) -> None:
    """It is refused by the name of what it needs, before anything starts."""
    with pytest.raises(UsageError, match=f"{name} can't be played on the service shop"):
        read_service(written(tmp_path)).refuse(read_scenario(find_scenario(name)))


def test_ports_are_handed_over(tmp_path: Path) -> None:
    """As arguments, as variables of the file and as PORT; telemetry goes to the Collector."""
    ports = ["http", "metrics"]
    changes = {"ports": ports, "environment": {"METRICS": "{metrics}"}}
    found = cast("HttpService", read_service(written(tmp_path, **changes)))
    claims = PortClaims()
    endpoints = found.endpoints(claims, 1)
    claims.release()
    endpoints["collector:4318"] = "collector:4318"
    numbers = [endpoints[f"shop:{name}"].rpartition(":")[2] for name in ports]
    context = SimpleNamespace(
        target=found,
        layout=RunLayout(tmp_path),
        port=lambda address: endpoints[address].rpartition(":")[2],
        url=lambda address: f"http://{endpoints.get(address, address)}",
        new_instance=lambda component: f"{component}-1",
        settings=SimpleNamespace(metric_aliases="", job_names=""),
        factor=30.0, trace_ratio=0.01, without=frozenset(), gates={}, endpoints=endpoints,
    )  # fmt: skip
    (component,) = found.components()
    request = component.request(cast("StackContext", context))
    assert request.argv == ("python", "app.py", "--port", numbers[0])
    assert (request.env["PORT"], request.env["METRICS"]) == tuple(numbers)
    assert request.env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert request.env["OTEL_SERVICE_NAME"] == "shop"
    assert request.cwd == tmp_path


def test_service_that_runs_already(tmp_path: Path) -> None:
    """Nothing of it is started, and Prometheus scrapes it where it is."""
    file = written(tmp_path, command=None, url="https://shop.example/v1/")
    found = cast("HttpService", read_service(file))
    assert found.components() == ()
    assert found.endpoints(PortClaims(), 1) == {"shop:http": "shop.example:443"}
    (job,) = found.scrape_configs()
    assert (job["scheme"], job["job_name"]) == ("https", "shop")


@pytest.mark.parametrize("ready", ["/health", "health"])
def test_all_paths_are_below_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ready: str
) -> None:
    """Its pages of metrics and what says that it is ready, as the requests of the load are."""
    block = {"command": None, "url": "https://shop.example/v1/", "ready": ready}
    found = cast("HttpService", read_service(written(tmp_path, **block)))
    asked: list[str] = []

    def answer(url: str, **_: object) -> SimpleNamespace:
        asked.append(url)
        return SimpleNamespace(status_code=200)

    monkeypatch.setattr("testbed.targets.http.loopback.get", answer)
    context = cast("StackContext", None)
    assert found.not_ready(context) is None
    assert asked == ["https://shop.example/v1/health"]
    (page,) = found.metrics
    assert found.page_url(context, page) == f"https://shop.example/v1{page.path}"
    (job,) = found.scrape_configs()
    assert job["metrics_path"] == f"/v1{page.path}"


@pytest.mark.parametrize("kind", [k for k in TARGETS if k != "bundled"])
def test_presets_stand_alone(tmp_path: Path, kind: str) -> None:
    """A kind and a command are enough; what the file says comes before the preset."""
    block: dict[str, Any] = {
        "kind": kind,
        "command": "serve",
        "reply": None,
        "service": None,
        "rules": None,
    }
    found = cast("HttpService", read_service(written(tmp_path, **block)))
    assert found.jobs == tuple(found.service for _ in found.metrics)
    assert found.request.path.startswith("/")
    block |= {"request": {"path": "/mine"}, "counts": {"requests": "mine_total"}}
    found = cast("HttpService", read_service(written(tmp_path, **block)))
    assert (found.request.path, found.counts.requests) == ("/mine", "mine_total")


PAGE = """\
# TYPE shop_requests_total counter
shop_requests_total{status="200",path="/predict"} 7
shop_requests_total{status="500",path="/predict"} 2
shop_requests_total{status="200",path="/"} 100
"""


@pytest.mark.parametrize(
    ("selector", "total"),
    [
        ('shop_requests_total{path="/predict"}', 9),
        ('shop_requests_total{path="/predict",status=~"5.."}', 2),
        ('shop_requests_total{job="shop",instance=~".+",path!="/"}', 9),
        ('{__name__="shop_requests_total"}', 109),
        ("other_total", 0),
    ],
)
def test_page_is_added_up_by_a_selector(selector: str, total: int) -> None:
    """Labels that Prometheus adds are not asked of a page."""
    assert total_of([PAGE], selector) == total
    assert total_of([PAGE, None], selector) is None


def test_series_that_ended_with_a_life_of_the_service() -> None:
    """One that the page does not show any more counted before the restart, as far as it came."""
    points = {"200": ((1.0, 5.0), (2.0, 9.0), (3.0, 2.0)), "500": ((1.0, 1.0), (2.0, 4.0))}
    found = [
        Series({"job": "shop", "instance": "a", "status": status}, values)
        for status, values in points.items()
    ]
    prometheus = cast("PrometheusClient", SimpleNamespace(raw=lambda *_, **__: found))
    page = 'shop_requests_total{status="200"} 2'
    shown = shown_on([f"# TYPE shop_requests_total counter\n{page}\n"], "shop_requests_total")
    window = {"at": 4.0, "window": 4.0}
    total = stored_total(prometheus, "shop_requests_total", ("shop",), shown, **window)
    assert total == (9 + 2 + 4, 9 + 4, 2, 1)
    others = stored_total(prometheus, "shop_requests_total", ("other",), shown, **window)
    assert others == (0, 0, 0, 0)


def test_rules_of_the_bundled_api_are_left_out(tmp_path: Path) -> None:
    """By their job, rule by rule; the others stay, and the service's own come beside them."""
    rule = {"alert": "ShopDown", "expr": 'up{job="shop"} == 0'}
    own = {"shop.yml": {"groups": [{"name": "s", "rules": [rule]}]}}
    shipped = root() / "prometheus" / "rules"
    left_out = write_service_rules(shipped, own, tmp_path / "rules")
    assert {"APIDown", "PredictionLogFailing"} <= set(left_out)
    loaded = {
        rule["alert"]
        for file in (tmp_path / "rules").iterdir()
        for group in load_yaml(file.read_text())["groups"]
        for rule in group["rules"]
    }
    assert {"ShopDown", "DataDrift", "Watchdog", "TelemetryPipelineDown"} <= loaded
    assert "APIDown" not in loaded
    with pytest.raises(UsageError, match=r"drift.yml is the name of a shipped rules file"):
        write_service_rules(shipped, {"drift.yml": own["shop.yml"]}, tmp_path / "again")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small model of the synthetic diabetes data."""
    return train(get_use_case("diabetes"), None, 1, tmp_path_factory.mktemp("m") / "m", SMALL)


@contextmanager
def answering(status: int, **fields: object) -> Iterator[str]:
    """A service that always answers the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(fields).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - as http.server calls it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def shop(**changes: object) -> HttpService:
    """The service of these tests."""
    reply = {"prediction": "$.y", "probability": "$.p"}
    block = {"service": "shop", "url": "http://127.0.0.1:1", "reply": reply}
    return HttpService.model_validate(block | changes)


def test_reference_is_what_the_service_predicts(tmp_path: Path, artefact: Artefact) -> None:
    """Features and labels stay; the model in the artefact is not the one that answers."""
    with answering(200, y=1, p=0.9) as url:
        found = score_reference(shop(reference_rows=10), url, artefact, tmp_path / "scored")
    assert found == load_artefact(tmp_path / "scored")
    assert (found.name, found.splits["reference"], found.has_model) == ("shop", 10, False)
    assert found.version.startswith("served-")
    rows, before = list(found.reference()), list(artefact.reference())
    assert {row.prediction for row in rows} == {"1"}
    assert rows[0].probabilities == {"0": pytest.approx(0.1), "1": 0.9}
    assert [(r.features, r.label) for r in rows] == [(r.features, r.label) for r in before[:10]]


def _first(layout: RunLayout, given: Artefact, trained: Artefact) -> Prepared:
    """A prepared run of a trained model, whose target has come first and given another one."""
    target = SimpleNamespace(come_first=lambda _stack, _artefact: given)
    target.completed = lambda _context: target
    log_url = f"sqlite:///{layout.prediction_log}"
    context = SimpleNamespace(target=target, log_url=log_url, database=None)
    shutil.copytree(trained.path, layout.model)
    identity = {"id": "run", "model": {"name": trained.name, "version": trained.version}}
    layout.run_file.write_text(json.dumps(identity), encoding="utf-8")
    prepared = Prepared(
        *("run", layout, read_scenario(find_scenario("demo")), 30.0, trained.use_case, trained),
        *(cast("StackContext", context), RunOptions()),
    )
    prepared.begin_with_target(cast("Stack", None))
    return prepared


def test_run_is_of_the_model_that_the_service_has(tmp_path: Path, artefact: Artefact) -> None:
    """Its file names that one, and the log holds no reference rows of the one that was trained."""
    layout = RunLayout(tmp_path / "run").create()
    rows = list(artefact.reference())[:10]
    served = served_elsewhere(artefact, tmp_path / "scored", "shop", rows)
    _first(layout, served, artefact)
    identity = json.loads(layout.run_file.read_text(encoding="utf-8"))
    assert identity == {"id": "run", "model": {"name": "shop", "version": served.version}}
    assert _references(layout) == [(served.version, 10)]
    assert load_artefact(layout.model).version == served.version


def test_run_of_a_target_without_a_model_is_of_the_trained_one(
    tmp_path: Path, artefact: Artefact
) -> None:
    """As of the bundled API, whose model it is."""
    layout = RunLayout(tmp_path / "run").create()
    prepared = _first(layout, artefact, artefact)
    identity = json.loads(layout.run_file.read_text(encoding="utf-8"))
    assert identity["model"]["version"] == prepared.artefact.version
    assert _references(layout) == [(artefact.version, artefact.splits["reference"])]


def _references(layout: RunLayout) -> list[tuple[str, int]]:
    """Model versions with their reference rows in the log."""
    query = "select model_version, count(*) from reference_rows group by model_version"
    with closing(sqlite3.connect(layout.prediction_log)) as log:
        return log.execute(query).fetchall()


@pytest.mark.parametrize(
    ("status", "fields", "problem"),
    [
        (500, {"error": "no model"}, "status 500"),
        (200, {"z": 1}, "nothing stands at $"),
        (200, {"y": "maybe", "p": 1}, "'maybe' is none of the classes 0, 1"),
    ],
)
def test_service_that_does_not_predict(
    tmp_path: Path, artefact: Artefact, status: int, fields: dict[str, object], problem: str
) -> None:
    """The run does not begin; the line shows what was asked and answered."""
    with answering(status, **fields) as url, pytest.raises(StackError) as caught:
        score_reference(shop(), url, artefact, tmp_path / "scored")
    assert problem in str(caught.value)
    assert json.dumps(fields) in str(caught.value)


def test_truth_becomes_the_prediction_log(tmp_path: Path, artefact: Artefact) -> None:
    """Each answered prediction is a row with the service's answer, and its label comes later."""
    layout = RunLayout(tmp_path).create()
    made = served_elsewhere(artefact, layout.model, "shop", list(artefact.reference()))
    row = next(made.reference())
    layout.truth.mkdir(exist_ok=True)
    url = f"sqlite:///{layout.prediction_log}"
    line = {
        "seq": 0, "request_id": "run-0", "finished_at": 5.0, "features": row.features, "label": 1,
        "prediction_id": "p-0", "prediction": 0, "probability": 0.75,
    }  # fmt: skip
    failed = line | {"seq": 1, "request_id": "run-1", "prediction_id": None}
    labels = Labels(ratio=1.0, delay=60.0)
    with TruthRecorder(layout, url, labels, 30.0, seed=1, service="shop"):
        text = "".join(f"{json.dumps(each)}\n" for each in (line, failed))
        (layout.truth / "requests.jsonl").write_text(text)
    with open_log(url, create=False) as log:
        (window,) = [log.window(made.version)]
        assert log.counts() == {("shop", made.version): 1}
    assert (window.prediction, window.probability, window.label) == (["0"], [0.75], ["1"])


def test_log_that_can_not_be_written(tmp_path: Path) -> None:
    """The run ends with the reason, once the load is over."""
    layout = RunLayout(tmp_path).create()
    with (
        pytest.raises(StackError, match="the prediction log could not be written: no model"),
        TruthRecorder(layout, "sqlite:///x.db", Labels(), 30.0, seed=1, service="shop"),
    ):
        pass


def test_examples_are_read_once_the_service_runs() -> None:
    """Of its OpenAPI document; none, or one without examples, is one sentence."""
    request = {"path": "/ask", "body": {"openapi": "/ask"}}
    context = cast("Any", None)
    operation = {"requestBody": {"content": {"application/json": {"example": {"a": 1}}}}}
    with answering(200, paths={"/ask": {"post": operation}}) as url:
        found = shop(url=url, request=request, reply={}).completed(context)
        assert found.examples == ({"a": 1},)
        assert found.exchange().examples == ({"a": 1},)
        other = {"path": "/ask", "body": {"openapi": "/b"}}
        with pytest.raises(LoadError, match="no POST /b; it has /ask"):
            shop(url=url, request=other, reply={}).completed(context)
    with answering(200) as url, pytest.raises(UsageError, match="shows no OpenAPI document"):
        shop(url=url, request=request, reply={}).completed(context)


def test_rows_that_are_not_sent_cannot_drift() -> None:
    """Examples stand in their place."""
    drifts = read_scenario(find_scenario("covariate-drift"))
    with pytest.raises(UsageError, match="is sent the examples"):
        shop(request={"body": {"openapi": "/ask"}}, reply={}).refuse(drifts)


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ({"headers": {"Host": "shop"}}, "Host is set by Prometheus"),
        ({"headers": {"X": "a{id}"}}, "X holds {id}, and a scrape is no request of the load"),
        ({"path": "/more"}, "two pages have the job shop; give one another `job`"),
        ({"job": "ml-api"}, "the job ml-api is one of the testbed's; give another"),
        ({"job": "cadvisor"}, "the job cadvisor is one of the testbed's; give another"),
        ({"path": "/m?of={id}"}, "it holds a brace: a scrape is no request of the load"),
        ({"labels": {"job": "other"}}, "job is given by `job` of the page"),
        ({"labels": {"__scheme__": "http"}}, "__scheme__ is one of Prometheus's own"),
    ],
)
def test_pages_that_prometheus_can_not_scrape(page: dict[str, Any], complaint: str) -> None:
    """Refused at once, not by Prometheus once all else has started."""
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        shop(metrics=[{}, page])


def test_no_service_has_a_job_of_the_testbed() -> None:
    """Prometheus takes each name once."""
    shipped = load_yaml((root() / "prometheus" / "prometheus.yml").read_text())
    assert {job["job_name"] for job in shipped["scrape_configs"]} == JOBS_TAKEN
    with pytest.raises(ValidationError, match="the job ml-api is one of the testbed's"):
        shop(service="ml-api")


def test_one_who_signs_in_by_url_and_by_header_is_refused() -> None:
    """A client sends one of both, and Prometheus the other."""
    page = {"headers": {"authorization": "Bearer a"}}
    with pytest.raises(ValidationError, match="url: it names a user"):
        shop(url="http://me:pw@shop.example", metrics=[page])


def test_the_query_of_a_page_is_sent_as_one() -> None:
    """Prometheus encodes path and query itself."""
    page = {"path": "/m%20n?format=a%26b&empty="}
    (job,) = shop(url="http://shop.example/v1", metrics=[page]).scrape_configs()
    assert job["metrics_path"] == "/v1/m n"
    assert job["params"] == {"format": ["a&b"], "empty": [""]}
    (plain,) = shop().scrape_configs()
    assert "params" not in plain


def test_use_cases_that_there_are_not_are_refused() -> None:
    """With the nearest name: else nothing would be played, and nobody would know why."""
    assert shop(use_cases=["any", "diabetes"]).use_cases == ("any", "diabetes")
    with pytest.raises(ValidationError, match=r"no use case 'Diabtes'.*diabetes"):
        shop(use_cases=["Diabtes"])


def test_a_header_that_prometheus_can_not_send_is_refused_at_once() -> None:
    """Before anything starts."""
    wanted = shop(metrics=[{"headers": {"Authorization": "${TOKEN}"}}])
    wanted.require_variables({"TOKEN": "Bearer a"})
    with pytest.raises(UsageError, match=r"job shop: .* with a scheme only") as caught:
        wanted.require_variables({"TOKEN": "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_counters_are_read_with_the_headers_of_their_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Prometheus reads them."""
    monkeypatch.setenv("TOKEN", "s3cret")
    page = {"path": "/m", "headers": {"Authorization": "Bearer ${TOKEN}"}}
    block = {"command": None, "url": "https://shop.example", "metrics": [page]}
    found = cast("HttpService", read_service(written(tmp_path, **block)))
    asked: list[tuple[Mapping[str, str], bool]] = []

    def answer(
        url: str, *, headers: Mapping[str, str], follow_redirects: bool, **_: object
    ) -> httpx.Response:
        asked.append((headers, follow_redirects))
        return httpx.Response(200, text="a 1", request=httpx.Request("GET", url))

    monkeypatch.setattr("testbed.targets.http.loopback.get", answer)
    assert found.counters(cast("StackContext", None)) == {"https://shop.example/m": "a 1"}
    assert asked == [({"Authorization": "Bearer s3cret"}, False)]
    assert found.scrape_headers() == {"shop": page["headers"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"request": {"headers": {"X-Key": "${SHOP_KEY}"}}},
        {"labels": {"headers": {"X-Key": "a ${SHOP_KEY}"}}},
        {"metrics": [{"headers": {"X-Key": "${SHOP_KEY}"}}]},
    ],
)
def test_keys_of_a_service_must_be_set(changes: dict[str, Any]) -> None:
    """Before anything starts, by name of the variable."""
    wanted = shop(**changes)
    wanted.require_variables({"SHOP_KEY": "k"})
    with pytest.raises(UsageError, match=r"service shop: the header X-Key needs .* SHOP_KEY"):
        wanted.require_variables({})
    with pytest.raises(UsageError, match=r"with SHOP_KEY, begins or ends with white") as caught:
        wanted.require_variables({"SHOP_KEY": "s3cret "})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must be an object, not None"),
        ("- a", "must be an object, not"),
        ("kind: mlfow\ncommand: x", "1: kind must be one of"),
    ],
)
def test_a_file_that_is_no_service_is_refused_in_plain_words(
    tmp_path: Path, text: str, complaint: str
) -> None:
    """An empty one, one that is a list, and one of an unknown kind."""
    file = tmp_path / "service.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=complaint):
        read_service(file)
