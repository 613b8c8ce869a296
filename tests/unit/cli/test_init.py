"""``testbed init``: what it guesses of real services, and what it writes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from testbed.cli import main
from testbed.initial.guess import body_of, counts_of, path_of, reply_of
from testbed.initial.look import Looked
from testbed.scenario import read_scenario
from testbed.servicefile import read_service
from testbed_domain.endings import guarded
from testbed_domain.use_cases import get_use_case

from tests.support.injections import BREAKS, INJECTED
from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.targets.http import HttpService

EXAMPLE = Path(__file__).parents[3] / "examples" / "flask-service"
SCHEMA = get_use_case("diabetes").schema


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example's service, as its user starts it."""
    port = free_port()
    log = tmp_path_factory.mktemp("shop") / "log"
    with log.open("wb") as file, subprocess.Popen(
        [sys.executable, "app.py"], cwd=EXAMPLE, env=os.environ | {"PORT": str(port)},
        stdout=file, stderr=file,
    ) as process:  # fmt: skip
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/health").is_success
            except httpx.HTTPError:
                return False

        try:
            wait_for(answers, 30, log.read_text, cast("Any", process))
            yield url
        finally:
            process.kill()


@pytest.fixture
def written(
    place: None,  # noqa: ARG001 - needed first
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Path]:
    """Runs the command, and gives the folder that it wrote into."""

    def run(*words: str) -> Path:
        monkeypatch.setattr(sys, "argv", ["testbed", "init", *words, "--out", str(tmp_path / "o")])
        assert guarded(main, "testbed") == 0
        return tmp_path / "o"

    return run


def test_example_is_understood(
    shop: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its health, its answer and its counters, by asking it; the files can be played at once."""
    rules = ("--rules", str(EXAMPLE / "rules"))
    folder = written(shop, "--command", "python app.py", *rules, "--name", "shop")
    found = cast("HttpService", read_service(folder / "service.yaml"))
    own = cast("HttpService", read_service(EXAMPLE / "service.yaml"))
    assert (found.command, found.ready, found.rules) == (own.command, own.ready, own.rules)
    assert found.directory == str(Path.cwd().resolve())  # where the command was typed
    assert (found.request.path, found.request.body) == (own.request.path, own.request.body)
    assert found.reply == own.reply
    assert found.counts.requests == "shop_requests_total"
    assert found.counts.errors == 'shop_requests_total{status=~"5.."}'
    assert found.counts.latency == "shop_request_seconds_count"
    text = (folder / "scenario.yaml").read_text()
    assert read_scenario(folder / "scenario.yaml").expected_alerts == ()
    opened = text.replace("# expected_alerts", "expected_alerts").replace("#   - {", "  - {")
    opened = opened.replace("  # - name", "  - name").replace("  #   ", "    ")
    (folder / "opened.yaml").write_text(opened)
    alerts = [one.alert for one in read_scenario(folder / "opened.yaml").expected_alerts]
    assert alerts == ["ShopDown", "ShopErrors"]
    assert "testbed run" in capsys.readouterr().out


ANSWERS: dict[str, bytes] = {
    "no routes": b'{"openapi": "3.1.0", "paths": null}',
    "odd routes": b'{"paths": {"/q": 5, "/p": {"post": null}, "/r": {"post": {"requestBody": 1}}}}',
    "no end of levels": b"[" * 200_000,
    "a list": b"[]",
    "not UTF-8": b'{"\xe9": 1}',
}


class Stranger(BaseHTTPRequestHandler):
    """Answers everything with the content of its server."""

    def do_GET(self) -> None:
        """Answer."""
        cast("Any", self.server).asked.append((self.path, self.headers.get("X-Key")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = cast("Any", self.server).content
        if isinstance(content, dict):
            content = content.get(self.path, b"{}")
        if isinstance(content, str):
            self.send_response(307)
            self.send_header("Location", content)
            self.end_headers()
            return
        keyless = cast("Any", self.server).guarded and self.headers.get("X-Key") is None
        self.send_response(403 if keyless else 200)
        self.send_header("Content-Type", "application/json")
        if content is not None:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            while content is None:
                self.wfile.write(b" " * 2**20)
            self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - name of the base

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[Any]:
    """A service that is none; its ``content`` is what it answers, None without an end.

    A text is where it leads to.

    Where it is ``guarded`` it refuses who has no key.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        cast("Any", server).asked = []
        cast("Any", server).guarded = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("content", ANSWERS.values(), ids=ANSWERS.keys())
def test_whatever_is_answered_is_looked_at(
    stranger: Any,  # noqa: ANN401 - a server
    written: Callable[..., Path],
    content: bytes,
) -> None:
    """What is no document, or an odd one, is as good as none."""
    stranger.content = content
    folder = written(f"http://127.0.0.1:{stranger.server_port}")
    assert read_scenario(folder / "scenario.yaml")
    assert read_service(folder / "service.yaml")


def test_key_and_path_of_a_service(
    stranger: Any,  # noqa: ANN401 - a server
    written: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that is asked is below its URL, and the file has the key's name alone.

    Health is asked as in a run, where nobody has the key, and metrics that are shown without it.
    """
    stranger.content = b"{}"
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    url = f"http://127.0.0.1:{stranger.server_port}/shop"
    folder = written(url, "--header", "X-Key: ${SHOP_KEY}", "--header", "X-Other:a:b")
    asked = dict(stranger.asked)
    assert all(path.startswith("/shop/") for path in asked)
    assert (asked["/shop/openapi.json"], asked["/shop/predict"]) == ("s3cret", "s3cret")
    assert (asked["/shop/metrics"], asked["/shop/health/ready"]) == (None, None)
    found = cast("HttpService", read_service(folder / "service.yaml"))
    assert found.request.headers == {"X-Key": "${SHOP_KEY}", "X-Other": "a:b"}
    assert "s3cret" not in (folder / "service.yaml").read_text()


COUNTED = b"# TYPE shop_requests_total counter\nshop_requests_total 3\n"


@pytest.mark.parametrize(
    ("guarded", "given", "headers", "comment"),
    [
        (False, ("X-Key: ${SHOP_KEY}",), ({},), ""),
        (True, ("X-Key: ${SHOP_KEY}",), ({"X-Key": "${SHOP_KEY}"},), "403 without them, and shows"),
        (True, ("X-Key: k", "Host: shop", "X: {id}"), ({"X-Key": "k"},), "403 without them, and"),
        (True, ("X-Key: ${SHOP_KEY}{id}",), (), "403, and Prometheus can send none of the headers"),
        (True, ("Authorization: ${SHOP_KEY}",), (), "403, and Prometheus sends the header Author"),
        (True, ("X-Other: k",), (), "answers 403, with the headers that were given, too; without"),
        (True, (), (), "answers 403; without them its counters"),
    ],
)
def test_metrics_that_want_a_key(
    stranger: Any,  # noqa: ANN401 - a server
    written: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    *,
    guarded: bool,
    given: tuple[str, ...],
    headers: tuple[dict[str, str], ...],
    comment: str,
) -> None:
    """The file says which headers its page is scraped with, of those that Prometheus can send."""
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    stranger.content, stranger.guarded = {"/metrics": COUNTED}, guarded
    options = [word for each in given for word in ("--header", each)]
    folder = written(f"http://127.0.0.1:{stranger.server_port}", *options)
    found = cast("HttpService", read_service(folder / "service.yaml"))
    assert tuple(page.headers for page in found.metrics) == headers
    assert found.counts.requests is None
    text = (folder / "service.yaml").read_text()
    assert comment in text
    assert (" answers 403" in text) is guarded
    assert "s3cret" not in text
    assert found.ready == ("/" if guarded else "/health/ready")


@pytest.mark.parametrize("guarded", [False, True])
def test_a_page_of_metrics_that_is_mounted(
    stranger: Any,  # noqa: ANN401 - a server
    written: Callable[..., Path],
    *,
    guarded: bool,
) -> None:
    """It is redirected to, and Prometheus follows nobody with a key: the file says where it is."""
    stranger.content = {"/shop/metrics": "/shop/metrics/", "/shop/metrics/": COUNTED}
    stranger.guarded = guarded
    url = f"http://127.0.0.1:{stranger.server_port}/shop"
    found = cast("HttpService", read_service(written(url, "--header", "X-Key: k") / "service.yaml"))
    (page,) = found.metrics
    assert (page.path, page.headers) == ("/metrics/", {"X-Key": "k"} if guarded else {})


def test_a_page_elsewhere_is_none_of_the_service(
    stranger: Any,  # noqa: ANN401 - a server
    written: Callable[..., Path],
) -> None:
    """Its own path stands in the file: a run asks for what is below its URL."""
    stranger.content = {"/shop/metrics": "/metrics", "/metrics": COUNTED}
    folder = written(f"http://127.0.0.1:{stranger.server_port}/shop")
    found = cast("HttpService", read_service(folder / "service.yaml"))
    assert [page.path for page in found.metrics] == ["/metrics"]


def test_a_key_that_is_repeated_is_not_written_down(
    stranger: Any,  # noqa: ANN401 - a server
    written: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor said: by services that refuse one."""
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    stranger.content = {"/predict": b"no key s3cret is known here"}
    folder = written(f"http://127.0.0.1:{stranger.server_port}", "--header", "X: ${SHOP_KEY}")
    text = (folder / "service.yaml").read_text()
    assert "no key ${SHOP_KEY} is known here" in text
    output = capsys.readouterr()
    assert "s3cret" not in f"{text}{output.out}{output.err}"


def test_a_path_of_a_stranger_is_no_yaml(
    stranger: Any,  # noqa: ANN401 - a server
    written: Callable[..., Path],
) -> None:
    """One that no client sends as it stands is passed over, as one without a slash is."""
    paths = ["predict", "//predict", *(f"/predict{each}{INJECTED}" for each in BREAKS)]
    document: dict[str, Any] = {"paths": {path: {"post": {}} for path in [*paths, "/pre\u00e9"]}}
    stranger.content = {"/openapi.json": json.dumps(document).encode()}
    folder = written(f"http://127.0.0.1:{stranger.server_port}")
    found = cast("HttpService", read_service(folder / "service.yaml"))
    assert (found.request.path, found.environment) == ("/pre\u00e9", {})


def test_an_answer_without_an_end_is_not_read(
    stranger: Any,  # noqa: ANN401 - a server
    line_of: Callable[..., str],
) -> None:
    """It would fill the memory."""
    stranger.content = None
    said = line_of("init", f"http://127.0.0.1:{stranger.server_port}")
    assert "nothing answers at" in said
    assert "over 8,388,608 bytes" in said or "does not end within" in said


def test_nothing_is_overwritten(shop: str, tmp_path: Path, line_of: Callable[..., str]) -> None:
    """What is there was written by somebody."""
    (tmp_path / "scenario.yaml").write_text("mine")
    assert "already there" in line_of("init", shop, "--out", str(tmp_path))
    assert (tmp_path / "scenario.yaml").read_text() == "mine"
    assert not (tmp_path / "service.yaml").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("http://127.0.0.1:1",), "nothing answers at http://127.0.0.1:1"),
        (("127.0.0.1:5000",), "is not the URL of a service"),
        (("http://[::1",), "is not the URL of a service"),
        (("http://127.0.0.1:99999",), "is not the URL of a service"),
        (("http://127.0.0.1:1", "--name", "My Shop"), "lower-case letters"),
        (("http://127.0.0.1:1", "--use-case", "roses"), "roses"),
        (("http://127.0.0.1:1", "--rules", "absent"), "absent does not exist"),
        (("http://127.0.0.1:1", "--header", "X-Key"), "give each as 'NAME: VALUE'"),
        (("http://127.0.0.1:1", "--header", "X Y: a"), "'X Y' is not the name of a header"),
        (("http://127.0.0.1:1", "--header", "X: 1", "--header", "X: 2"), "given twice"),
        (("http://127.0.0.1:1", "--header", "X: ${NO_KEY}"), "environment variable NO_KEY"),
        (("http://127.0.0.1:1", "--header", "X: ${NO-KEY}"), "begins no variable"),
        (("http://127.0.0.1:1", "--header", "Content-Length: 5"), "is set by the load's client"),
        (("http://127.0.0.1:1", "--path", "predict"), "it begins with a slash: /predict"),
        (("http://127.0.0.1:1", "--path", "/a b"), "'/a b': it holds a space"),
        (("http://127.0.0.1:1", "--path", "/{}"), "it holds a brace"),
        (("http://127.0.0.1:1", "--path", "/{nocolumn}"), "asks for {nocolumn}, which there"),
    ],
)
def test_what_can_not_be_looked_at(
    line_of: Callable[..., str], words: tuple[str, ...], reason: str
) -> None:
    """One line, before anything is written."""
    assert reason in line_of("init", *words)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--name", "prometheus"), "prometheus is the name of a component"),
        (("--command", "serve {grpc}"), "asks for the port 'grpc'"),
        (("--command", "serve '"), "No closing quotation"),
    ],
)
def test_a_file_that_a_run_would_refuse_is_not_written(
    shop: str, tmp_path: Path, line_of: Callable[..., str], words: tuple[str, ...], reason: str
) -> None:
    """It says why."""
    said = line_of("init", shop, "--no-ask", "--out", str(tmp_path / "o"), *words)
    assert reason.lower() in said.lower()
    assert not (tmp_path / "o").exists()


def test_service_that_refuses_the_row(shop: str, written: Callable[..., Path]) -> None:
    """The files are written all the same, and say what it answered."""
    text = (written(shop, "--use-case", "iris") / "service.yaml").read_text()
    assert "# it refused an example row: 500" in text
    assert load_yaml(text)["reply"] == {}


def described(properties: dict[str, Any], path: str = "/v1/score") -> Looked:
    """A service whose OpenAPI document has one route of these fields."""
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}}
    paths = {"/users": {"post": {}}, path: {"post": {"requestBody": body}}}
    document = {"paths": paths, "components": {"schemas": {"In": {"properties": properties}}}}
    return Looked("http://x", openapi=document)


@pytest.mark.parametrize(
    ("properties", "body"),
    [
        ({name: {"type": "number"} for name in SCHEMA.names}, "{row}"),
        ({"instances": {"type": "array", "items": {"type": "object"}}}, {"instances": ["{row}"]}),
        ({"rows": {"type": "array", "items": {"type": "array"}}}, {"rows": ["{values}"]}),
        ({"features": {"type": "object"}}, {"features": "{row}"}),
        ({"other": {}}, "{row}"),
    ],
)
def test_body_by_the_openapi_document(properties: dict[str, Any], body: object) -> None:
    """Fields of the request say how a row is wrapped."""
    looked = described(properties)
    assert path_of(looked).value == "/v1/score"
    assert body_of(looked, "/v1/score", SCHEMA).value == body
    assert path_of(Looked("http://x")).value == "/predict"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            {"prediction": 1, "probability": 0.7, "prediction_id": "a"},
            {"prediction": "$.prediction", "probability": "$.probability", "id": "$.prediction_id"},
        ),
        ({"predictions": [0]}, {"prediction": "$.predictions[0]"}),
        (
            {"result": {"class": "died", "score": 0.6}},
            {"prediction": "$.result.class", "probability": "$.result.score"},
        ),
        ([3.5], {"prediction": "$[0]"}),
        (
            {"survived": True, "model": "m", "confidence": 0.9},
            {"prediction": "$.survived", "probability": "$.confidence"},
        ),
        (
            {"it's": {"id": "a", "label": 1}},
            {"prediction": '$["it\'s"].label', "id": '$["it\'s"].id'},
        ),
        ({"a": 1, "b": 2}, {}),
    ],
)
def test_answer_is_read_by_its_names(answer: object, found: dict[str, str]) -> None:
    """Or by what is left; where that is not clear nothing is said."""
    assert {name: guess.value for name, guess in reply_of(answer).items()} == found


def test_counters_by_what_grew() -> None:
    """A counter of requests before any other; errors by its label of the status."""
    grown = [
        ("app_predictions_total", {}),
        ("http_requests_total", {"handler": "/predict", "method": "POST", "status": "2xx"}),
        ("http_request_duration_seconds_count", {"handler": "/predict"}),
        ("http_request_size_bytes_count", {"handler": "/predict"}),
    ]
    found = {name: guess.value for name, guess in counts_of(grown).items()}
    where = 'handler="/predict",method="POST"'
    assert found == {
        "requests": f"http_requests_total{{{where}}}",
        "errors": f'http_requests_total{{{where},status="5xx"}}',
        "latency": 'http_request_duration_seconds_count{handler="/predict"}',
    }
