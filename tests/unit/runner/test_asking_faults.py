"""Faults that something else does: asked by HTTP, executed as a command, done by a proxy."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError
from testbed.cli import app as command_line
from testbed.errors import UsageError
from testbed.faultrefusals import refuse_faults
from testbed.faults.base import HeldFault
from testbed.faults.commands import ExecFault
from testbed.faults.http import HttpFault
from testbed.faults.memory import MemoryFault
from testbed.faults.network import NetworkFault
from testbed.faults.rig import Rig
from testbed.faults.rig.proxied import Disturbance, probe
from testbed.faults.rig.questions import FILLER, question_for
from testbed.playall import main as play_all
from testbed.scenario import Scenario, read_scenario
from testbed.stack.links import to_target, ways
from testbed.stack.process import ProcessRequest, Supervisor
from testbed.targets import BundledApi
from testbed.trust import check_scenario
from typer.testing import CliRunner

from tests.support.polling import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


class Answering(ThreadingHTTPServer):
    """Writes down what it is asked, and answers 404 to one path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str | None, Any]] = []
        self.held = threading.Event()
        self.address = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    """Of one request."""

    server: Answering

    def do_PUT(self) -> None:
        """Write it down."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("Authorization")
        if self.path == "/held":
            self.server.held.wait(10)
        self.server.asked.append((self.command, self.path, token, json.loads(body or "null")))
        self.send_response(404 if self.path == "/wrong" else 204)
        self.end_headers()

    do_DELETE = do_GET = do_PUT  # noqa: N815 - names of the base

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Answering]:
    """An HTTP server."""
    made = Answering()
    yield made
    made.shutdown()
    made.server_close()


def seen_of(fault: HeldFault, context: object = None, stack: object = None) -> Any:  # noqa: ANN401 - JSON
    """What was seen of a fault that began and ended."""
    stack = stack or SimpleNamespace(context=context)
    rig = Rig(cast("Any", stack), cast("Any", None), cast("Any", None))
    fault.begin(rig)
    return fault.end(rig)


def test_a_component_is_asked_by_its_compose_address(server: Answering, tmp_path: Path) -> None:
    """With the token of its management port; what is answered is written down."""
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    context = SimpleNamespace(management_token=token, url=lambda _: f"http://{server.address}")
    fault = HttpFault.model_validate(
        {
            "start": {"method": "PUT", "url": "http://api:9464/faults", "body": {"errors": 1}},
            "end_with": {"method": "DELETE", "url": "http://api:9464/wrong"},
        }
    )
    assert fault.trusting is None
    seen = seen_of(fault, context)
    assert (seen["begin"], seen["end"]) == (204, 404)
    bearer = "Bearer 0123456789abcdef0123456789abcdef"
    assert server.asked == [
        ("PUT", "/faults", bearer, {"errors": 1}),
        ("DELETE", "/wrong", bearer, None),
    ]


def test_what_is_elsewhere_gets_no_token(server: Answering) -> None:
    """And needs trust; nobody there is said, too."""
    fault = HttpFault.model_validate(
        {"start": {"method": "PUT", "url": f"http://{server.address}/x"}}
    )
    assert fault.trusting == f'{{"method":"PUT","url":"http://{server.address}/x"}}'
    seen = seen_of(fault)
    assert (seen["begin"], seen["end"]) == (204, None)
    assert server.asked == [("PUT", "/x", None, None)]
    gone = HttpFault.model_validate({"start": {"url": "http://127.0.0.1:1/x"}})
    assert "ConnectError" in seen_of(gone)["begin"]


def test_the_run_goes_on_beside_a_slow_request(server: Answering) -> None:
    """Neither its begin nor its end is waited for; when each was answered is written down."""
    fault = HttpFault.model_validate(
        {
            "start": {"method": "PUT", "url": f"http://{server.address}/held"},
            "end_with": {"method": "PUT", "url": f"http://{server.address}/held"},
        }
    )
    with_nothing = cast("Any", SimpleNamespace(context=None))
    rig = Rig(with_nothing, cast("Any", None), cast("Any", None))
    fault.begin(rig)
    rig.undo_aside(fault.label, fault.release(rig))
    assert not list(rig.undone())
    assert rig.undoing
    server.held.set()
    wait_for(lambda: not rig.undoing or rig.undoing[0][1].done())
    ((label, seen),) = rig.undone()
    assert (label, seen["begin"], seen["end"]) == (fault.label, 204, 204)
    assert seen["begin_seconds"] >= 0
    assert not rig.undoing
    rig.close()


def test_a_request_to_the_fault_control_stands_alone() -> None:
    """It would overwrite the faults of the phase, and they it: the body holds all of them."""
    put = {"method": "PUT", "url": "http://api:9464/faults/", "body": {"errors": {"ratio": 1}}}
    both = {"kind": "http", "start": put, "end_with": {**put, "method": "DELETE"}}
    assert one_phase(both).phases
    elsewhere = {"kind": "http", "start": {"url": "http://api:9464/metrics"}}
    late = {"kind": "latency", "seconds": 1}
    assert one_phase(elsewhere, late, {"kind": "errors", "ratio": 0.5}).phases
    with pytest.raises(ValidationError, match=r"http PUT .* and latency \+1 s would overwrite"):
        one_phase(both, late)


class Helpers:
    """Runs the commands of faults."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self._folder, self._supervisor = folder, supervisor

    def run_helper(self, name: str, argv: tuple[str, ...], timeout: float) -> Any:  # noqa: ANN401 - an outcome
        """Run one to its end."""
        log = self._folder / "log"
        self._supervisor.start(ProcessRequest(name, argv, log, dict(os.environ), self._folder))
        outcome = self._supervisor.wait(name, timeout)
        if outcome is None:
            self._supervisor.stop(name, kill=True)
        return outcome


@pytest.mark.parametrize(
    ("end", "timeout", "seen"),
    [
        ((sys.executable, "-c", "raise SystemExit(3)"), 60.0, 3),
        (("no-such-program",), 60.0, "cannot start"),
        (("sleep", "600"), 3.0, "no exit within 3 s"),
    ],
)
def test_commands_are_executed_without_a_shell(
    tmp_path: Path, end: tuple[str, ...], timeout: float, seen: object
) -> None:
    """Their exit codes are written down, or what became of them."""
    fault = ExecFault(start=("touch", "a; b"), end_with=end, timeout=timeout)
    with Supervisor() as supervisor:
        found = seen_of(fault, stack=Helpers(tmp_path, supervisor))
    assert (tmp_path / "a; b").exists()
    assert found["begin"] == 0
    assert found["end"] == seen or str(seen) in str(found["end"])


def scenario_with(folder: Path, *faults: str) -> Path:
    """A scenario file of one phase."""
    path = folder / "mine.yaml"
    phase = f"{{name: a, duration: 5m, rate: 50, faults: [{', '.join(faults)}]}}"
    path.write_text(f"name: mine\ntitle: t\ndescription: d\nphases: [{phase}]\n")
    return path


def test_a_scenario_executes_nothing_that_was_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused until it is trusted, and again once it says something else."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    path = scenario_with(tmp_path, "{kind: exec, start: [rm, -rf, /]}")
    refused = CliRunner().invoke(command_line, ["run", str(path)])
    assert refused.exit_code
    assert isinstance(refused.exception, UsageError)
    assert "phases[0].faults[0]" in str(refused.exception)
    assert f"run `testbed trust {path}`" in str(refused.exception)
    assert CliRunner().invoke(command_line, ["trust", str(path)]).stdout == (
        "trusted: phases[0].faults[0] = rm -rf /\n"
    )
    check_scenario(path, read_scenario(path))
    for other in (
        "{kind: exec, start: [rm, -rf, /, --no-preserve-root]}",
        "{kind: http, start: {url: 'http://elsewhere:80/'}}",
    ):
        with pytest.raises(UsageError, match="not trusted"):
            check_scenario(path, read_scenario(scenario_with(tmp_path, other)))


@pytest.mark.parametrize(
    "service",
    [
        "{command: rm -rf /, reply: {}}",
        "{url: 'http://elsewhere:80', request: {headers: {X: '${SECRET_KEY}'}}}",
        "{command: 'true', overhead: {on: {command: rm -rf /}}}",
        "{command: 'true', environment: {LD_PRELOAD: evil.so}}",
    ],
)
def test_a_scenario_brings_no_service_that_was_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """To play it and to start a stack for it; on the caller's own service nothing of it is used."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    path = scenario_with(tmp_path, "")
    path.write_text(f"{path.read_text()}service: {service}\n")
    for words in (["run", str(path)], ["up", "--scenario", str(path)]):
        refused = CliRunner().invoke(command_line, words)
        assert isinstance(refused.exception, UsageError), refused.output
        assert "service: what this does is not trusted" in str(refused.exception)
    check_scenario(path, read_scenario(path), other_service=True)
    shown = " ".join(CliRunner().invoke(command_line, ["trust", str(path)]).stdout.split())
    assert shown.startswith("trusted: service = ")
    told = ("rm -rf /", "http://elsewhere:80; which is sent the variables SECRET_KEY", "evil.so")
    assert any(each in shown for each in told)
    check_scenario(path, read_scenario(path))
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(path.read_text())
    with pytest.raises(UsageError, match="not trusted"):
        check_scenario(elsewhere, read_scenario(elsewhere))


def test_trust_is_in_all_that_is_said_of_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is, without what stands before an @, and what it is sent there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = scenario_with(tmp_path, "")
    text = path.read_text()

    def brings(url: str, more: str = "") -> None:
        path.write_text(f"{text}service: {{url: '{url}'{more}}}\n")

    brings("http://evil.example:x@127.0.0.1:5000")
    shown = CliRunner().invoke(command_line, ["trust", str(path)]).stdout
    assert shown == "trusted: service = http://127.0.0.1:5000\n"
    check_scenario(path, read_scenario(path))
    for url, more in (
        ("http://evil.example:80/a@127.0.0.1:5000", ""),
        ("http://evil.example:x@127.0.0.1:5000", ", request: {path: /-/quit}"),
        ("http://evil.example:x@127.0.0.1:5000", ", labels: {method: PATCH}"),
    ):
        brings(url, more)
        with pytest.raises(UsageError, match="not trusted"):
            check_scenario(path, read_scenario(path))


def test_what_is_trusted_can_not_be_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal would obey a sequence that deletes the line."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = scenario_with(tmp_path, '{kind: exec, start: [rm, "\\e[2K"]}')
    shown = CliRunner().invoke(command_line, ["trust", str(path)]).stdout
    assert "rm" in shown
    assert "\x1b" not in shown


def test_what_goes_to_the_runs_own_components_needs_no_trust(tmp_path: Path) -> None:
    """It can do no more than other faults do."""
    path = scenario_with(tmp_path, "{kind: http, start: {url: 'http://api:9464/faults'}}")
    check_scenario(path, read_scenario(path))
    assert "names no command" in CliRunner().invoke(command_line, ["trust", str(path)]).stdout


def one_phase(*faults: dict[str, Any]) -> Scenario:
    """A scenario of one phase."""
    phase = {"name": "a", "duration": 60, "rate": 5, "faults": faults}
    return Scenario.model_validate(
        {"name": "mine", "title": "t", "description": "d", "phases": [phase]}
    )


def test_a_fault_that_can_not_be_is_refused_before_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With its reason; who plays many skips it, and says so."""
    frozen = one_phase({"kind": "freeze", "component": "collector"})
    refuse_faults(frozen, BundledApi(), frozenset({"drift"}))
    with pytest.raises(UsageError, match="collector frozen needs collector, which --without"):
        refuse_faults(frozen, BundledApi(), frozenset({"collector"}))
    monkeypatch.setattr(MemoryFault, "permitted", lambda _: "there is none")
    with pytest.raises(UsageError, match=r"scenario mine can't be played: a: .*: there is none"):
        refuse_faults(one_phase({"kind": "memory", "mib": 5}), BundledApi(), frozenset())
    path = scenario_with(tmp_path, "{kind: memory, mib: 5}")
    assert play_all([str(path), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"{path}: skipped, a: the fault memory 5 MiB held is not permitted here" in said


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"from": "api", "to": "receiver", "delay": 1}, "no link from api to receiver"),
        ({"from": "api", "to": "collector"}, "give delay or bandwidth, or lost"),
        ({"from": "api", "to": "collector", "delay": 1, "lost": "reset"}, "give delay or"),
        ({"from": "api", "to": "collector", "delay": 1, "jitter": 2}, "more than delay"),
    ],
)
def test_a_network_fault_that_makes_no_sense_is_refused(
    fields: dict[str, Any], complaint: str
) -> None:
    """At the edge, in its own words."""
    with pytest.raises(ValidationError, match=complaint):
        NetworkFault.model_validate({"kind": "network"} | fields)


def test_a_disturbed_link_goes_through_its_proxy() -> None:
    """For who asks over it only; a scenario that was written down is read again."""
    fault = {"kind": "network", "from": "api", "to": "collector", "delay": 0.5, "jitter": 0.1}
    scenario = one_phase(fault)
    assert scenario.links == (("api", "collector"),)
    assert Scenario.model_validate(scenario.model_dump(mode="json")) == scenario
    addresses = {"collector:4318": "127.0.0.1:1", "api-collector:0": "127.0.0.1:2"}
    assert ways("api", addresses)["collector:4318"] == "127.0.0.1:2"
    assert ways("drift", addresses)["collector:4318"] == "127.0.0.1:1"
    assert one_phase().links == ()


def test_the_load_goes_through_a_proxy_to_any_target() -> None:
    """Its path stays; without a proxy, the URL is that of the target."""
    url = "http://127.0.0.1:5000/models"
    assert to_target(url, {}) == url
    assert to_target(url, {"load-target:0": "127.0.0.1:9"}) == "http://127.0.0.1:9/models"
    fault = NetworkFault.model_validate({"from": "load", "to": "target", "lost": "reset"})
    assert (fault.hits, fault.queues) == ((), True)
    refuse_faults(one_phase(fault.model_dump(by_alias=True)), BundledApi(), frozenset())


def test_what_the_proxy_is_told() -> None:
    """Toxiproxy takes milliseconds and KB per second."""

    def told(disturbance: Disturbance) -> list[tuple[str, Any]]:
        return [(each["type"], each["attributes"]) for each in disturbance.toxics]

    assert told(Disturbance(delay=0.5, jitter=0.1, bandwidth=8)) == [
        ("latency", {"latency": 500, "jitter": 100}),
        ("bandwidth", {"rate": 8}),
    ]
    assert told(Disturbance(lost="partition")) == [("timeout", {"timeout": 0})]
    assert told(Disturbance(lost="reset")) == [("reset_peer", {"timeout": 0})]
    assert Disturbance(delay=0.5, jitter=0.1, bandwidth=8).minimum == pytest.approx(0.656)


def test_what_becomes_of_a_question(server: Answering) -> None:
    """It is answered, or it is not."""
    assert probe(server.address, question_for("api"), 10) == "was answered"
    assert probe("127.0.0.1:1", question_for("api"), 10) == "was reset"


def test_whoever_is_asked_is_asked_in_its_own_words() -> None:
    """The database by its protocol: the length, the version, a user; all as long as is planned."""
    question = question_for("database")
    length, version = struct.unpack_from("!ii", question)
    assert (length, version >> 16) == (len(question), 3)
    assert b"\0user\0testbed\0" in b"\0" + question[8:]
    assert question_for("api").startswith(b"GET / HTTP/1.1\r\n")
    assert all(len(question_for(each)) >= FILLER for each in ("database", "api"))


def test_a_connection_that_ends_without_an_answer_is_lost() -> None:
    """Whether the proxy's reset is seen, or that it closed first; an answer shows that none is."""
    reset, partition = Disturbance(lost="reset"), Disturbance(lost="partition")
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as aside:

        def close() -> None:
            connection, _ = listening.accept()
            connection.recv(1 << 16)  # what is not read would make it a reset
            connection.close()

        closing = aside.submit(close)
        outcome = probe(f"127.0.0.1:{listening.getsockname()[1]}", b"?", 10)
        closing.result()
    assert outcome == "was closed"
    assert reset.took_hold(outcome, 0.0)
    assert reset.took_hold("was reset", 0.0)
    assert not reset.took_hold("was answered", 0.0)
    assert not reset.took_hold("had no answer", 2.0)
    assert partition.took_hold("had no answer", 2.0)
    assert not partition.took_hold(outcome, 0.0)
