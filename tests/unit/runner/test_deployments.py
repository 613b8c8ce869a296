"""Rules and routes that a fault deploys: loaded, shown to be, and rolled back."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from pydantic import ValidationError
from testbed.errors import UsageError
from testbed.faultrefusals import refuse_faults
from testbed.faults.rig import Rig
from testbed.faults.routes import RoutesFault
from testbed.faults.rulefile import RuleFileFault
from testbed.scenario import Scenario, read_scenario
from testbed.targets import BundledApi

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = {"alert": "HighLatency", "expr": "rate(x[5m]) > 1", "for": "5m"}
FACTOR = 30.0


class Server(ThreadingHTTPServer):
    """Loads its file when this process gets SIGHUP, as Prometheus and Alertmanager do."""

    daemon_threads = True

    def __init__(self, file: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.file = file
        self.loads = 0
        self.refuses = False
        self.text = file.read_text()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def load(self) -> None:
        """Read the file again."""
        self.loads += 1
        if not self.refuses:
            self.text = self.file.read_text()

    def answer(self, path: str) -> str:
        """The metrics, the rules or the configuration."""
        if path == "/metrics":
            lines = (
                f"{kind}_config_last_reload_{what}"
                for kind in ("prometheus", "alertmanager")
                for what in (
                    f"successful {int(not self.refuses)}",
                    f"success_timestamp_seconds {self.loads}",
                )
            )
            return "\n".join(lines)
        if path == "/api/v2/status":
            return json.dumps({"config": {"original": self.text}})
        groups = [
            {
                "file": f"/rules/{self.file.name}",
                "rules": [{"name": r["alert"], "query": r["expr"]} for r in group["rules"]],
            }
            for group in load_yaml(self.text)["groups"]
        ]
        return json.dumps({"data": {"groups": groups}})


class Handler(BaseHTTPRequestHandler):
    """Of one request."""

    server: Server

    def do_GET(self) -> None:
        """Answer."""
        body = self.server.answer(self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Server]:
    """A component that has loaded ``api.yml``, in this process."""
    file = tmp_path / "api.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "api", "rules": [RULE]}], "route": {}}))
    server = Server(file)
    before = signal.signal(signal.SIGHUP, lambda *_: server.load())
    yield server
    signal.signal(signal.SIGHUP, before)
    server.shutdown()
    server.server_close()


def rig(server: Server) -> Rig:
    """A stack whose Prometheus and Alertmanager are that server."""
    configuration = SimpleNamespace(rules=server.file.parent, alertmanager=server.file)
    url = f"http://127.0.0.1:{server.server_port}"
    context = SimpleNamespace(configuration=configuration, factor=FACTOR, url=lambda _: url)
    pids = dict.fromkeys(("prometheus", "alertmanager"), os.getpid())
    stack = SimpleNamespace(context=context, pids=lambda: pids)
    return Rig(cast("Any", stack), cast("Any", None), cast("Any", None))


def wrong_rules() -> RuleFileFault:
    """One rule, with another limit."""
    rule = {**RULE, "expr": "rate(x[5m]) > 0"}
    group = {"name": "api", "rules": [rule]}
    return RuleFileFault.model_validate({"replaces": "api.yml", "groups": [group]})


def test_a_rule_file_is_replaced_by_scaled_rules_and_put_back(loaded: Server) -> None:
    """What changed is named by what the component had loaded."""
    sound = loaded.file.read_bytes()
    fault, there = wrong_rules(), rig(loaded)
    fault.begin(there)
    (group,) = load_yaml(loaded.file.read_text())["groups"]
    assert (group["rules"][0]["expr"], group["rules"][0]["for"]) == ("rate(x[10s]) > 0", "10s")
    seen = fault.end(there)
    assert (seen["rules"], seen["succeeded"]) == (["HighLatency"], True)
    assert loaded.file.read_bytes() == sound
    assert loaded.loads == 2
    assert loaded.text.encode() == sound


def test_a_rule_file_that_was_not_there_is_taken_away(loaded: Server) -> None:
    """The others stay as they are."""
    fault, there = wrong_rules().model_copy(update={"replaces": "more.yml"}), rig(loaded)
    fault.begin(there)
    assert (loaded.file.parent / "more.yml").exists()
    fault.end(there)
    assert not (loaded.file.parent / "more.yml").exists()


def test_rules_that_are_refused_did_not_take_hold(loaded: Server, monkeypatch: Any) -> None:  # noqa: ANN401 - of pytest
    """Nothing changed, and the component says that it refused."""
    monkeypatch.setattr("testbed.faults.rig.deployment.LOADING", 0.1)
    loaded.refuses = True
    fault, there = wrong_rules(), rig(loaded)
    fault.begin(there)
    seen = fault.end(there)
    assert (seen["rules"], seen["succeeded"]) == ([], False)


def test_routes_are_replaced_and_put_back(loaded: Server) -> None:
    """The rest of the configuration stays, and durations are scaled."""
    sound = loaded.file.read_bytes()
    fault = RoutesFault.model_validate({"route": {"receiver": "critical", "group_wait": "30s"}})
    there = rig(loaded)
    fault.begin(there)
    wrong = load_yaml(loaded.text)
    assert wrong["route"] == {"receiver": "critical", "group_wait": "1s"}
    assert wrong["groups"], "what the fault says nothing of"
    assert fault.end(there)["routes"] is True
    assert loaded.file.read_bytes() == sound


def test_a_file_beside_the_scenario_stands_for_groups(tmp_path: Path) -> None:
    """What is no rule, or has no duration that can be read, is refused with the scenario."""
    scenario = tmp_path / "scenario.yaml"
    fault = "{kind: rule-file, replaces: api.yml, file: wrong.yml}"
    phase = f"{{name: one, duration: 1m, rate: 1, faults: [{fault}]}}"
    scenario.write_text(f"name: x\ntitle: x\ndescription: x\nphases: [{phase}]\n")
    (tmp_path / "wrong.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "a", "rules": [RULE]}]})
    )
    (found,) = read_scenario(scenario).phases[0].faults
    assert isinstance(found, RuleFileFault)
    assert found.groups[0]["rules"] == [RULE]
    for rule in ({"alert": "A"}, {**RULE, "for": "soon"}):
        with pytest.raises(ValidationError):
            RuleFileFault.model_validate(
                {"replaces": "api.yml", "groups": [{"name": "a", "rules": [rule]}]}
            )


def test_wrong_rules_that_no_time_scale_suits_are_refused() -> None:
    """They would be wrong in another way than the scenario says; at scale 1 they are not."""
    rule = RULE | {"expr": "changes(x[5m]) > 2"}
    groups = [{"name": "g", "rules": [rule]}]
    fault = RuleFileFault.model_validate({"replaces": "api.yml", "groups": groups})
    phase = {"name": "a", "duration": 60, "rate": 5, "faults": [fault.model_dump()]}
    scenario = Scenario.model_validate(
        {"name": "mine", "title": "t", "description": "d", "phases": [phase]}
    )
    refuse_faults(scenario, BundledApi(), frozenset(), 1)
    with pytest.raises(UsageError, match=r"can't be played at time scale 30: .*changes counts"):
        refuse_faults(scenario, BundledApi(), frozenset(), 30)
    marked = rule | {"labels": {"testbed_unscaled": "as it is"}}
    fault = RuleFileFault.model_validate(
        {"replaces": "api.yml", "groups": [{"name": "g", "rules": [marked, RULE]}]}
    )
    assert fault.unscaled(30) is None
