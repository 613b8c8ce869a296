"""What the forms of the console start and stop, and what they refuse."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from testbed.active import ACTIVE_FILE
from testbed.consoleapp import control as module
from testbed.consoleapp.control import ConsoleControl
from testbed.consoleapp.playing import Player, ScenarioChoice
from testbed.consoleapp.runfolder import RunFolder
from testbed.errors import StackError, UsageError
from testbed.layout import RunLayout
from testbed_domain.tokens import ensure_token

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Playing(Player):
    """Plays, or does not, whatever was started."""

    now = False

    @property
    def running(self) -> bool:
        """As it was set."""
        return self.now

    def choices(self) -> tuple[ScenarioChoice, ...]:
        """One that this stack can play and one that it can't."""
        return (
            ScenarioChoice("demo", "Demo", None),
            ScenarioChoice("api-outage", "Outage", "it needs hold of the processes"),
        )


@pytest.fixture
def player(tmp_path: Path) -> Playing:
    """Of a stack whose API is gone."""
    layout = RunLayout(tmp_path / "one").create()
    ensure_token(layout.management_token)
    identity = {"replicas": 1, "endpoints": {"api:9464": f"127.0.0.1:{free_port()}"}}
    layout.run_file.write_text(json.dumps(identity))
    return Playing(RunFolder(layout), tmp_path)


@pytest.fixture
def control(player: Playing, tmp_path: Path) -> ConsoleControl:
    """Its forms."""
    return ConsoleControl(RunFolder(RunLayout(tmp_path / "one")), player)


def test_forms_offer_what_there_is(control: ConsoleControl) -> None:
    """A scenario that the stack can't play is named with its reason, and can't be chosen."""
    scenario, load, fault = control.forms()
    assert scenario.fields[0].choices == (("demo", "demo: Demo"),)
    assert scenario.more == ("api-outage: it needs hold of the processes",)
    assert ("drifted", "drifted") in load.fields[0].choices
    kinds = [value for value, _ in fault.fields[0].choices]
    assert {"errors", "latency", "unloaded", "log"} <= set(kinds)
    assert "restart" not in kinds, "it needs hold of a process"


@pytest.mark.parametrize(
    ("action", "form", "said"),
    [
        ("fault", {"kind": "wild"}, "no such fault"),
        ("fault", {"kind": "restart", "component": "api"}, "no such fault"),
        ("fault", {"kind": "errors", "ratio": "2"}, "ratio"),
        ("fault", {"kind": "latency"}, "seconds"),
        ("load", {"load_profile": "normal"}, "no Locust"),
        ("scenario", {"name": "api-outage"}, "needs hold"),
        ("scenario", {"name": "; rm"}, "no such scenario"),
        ("scenario", {}, "no such scenario"),
    ],
)
def test_what_can_not_be_is_refused_in_words(
    control: ConsoleControl, action: str, form: dict[str, str], said: str
) -> None:
    """Nothing is started by it."""
    with pytest.raises(UsageError, match=said):
        control.actions[action](form)


def test_nothing_is_changed_while_a_scenario_is_played(
    control: ConsoleControl, player: Playing
) -> None:
    """Its verdict would be of something else; only it can be stopped."""
    player.now, player.name = True, "demo"
    for action in control.actions.values():
        with pytest.raises(UsageError, match="demo is played"):
            action({"do": "start", "kind": "errors", "ratio": "0.5", "name": "demo"})
    assert control.scenario({"do": "stop"}) == "The scenario is being stopped."


def test_a_scenario_is_not_played_beside_a_load_or_a_fault(control: ConsoleControl) -> None:
    """Its verdict would be of both."""
    control._set["errors"] = "50 % of the predictions fail"
    with pytest.raises(UsageError, match="stop them first"):
        control.scenario({"do": "start", "name": "demo"})
    assert control.forms()[2].note == "Set now: 50 % of the predictions fail."


@pytest.fixture
def locust(player: Playing) -> Iterator[dict[str, str]]:
    """What plays Locust's page: its state is that of ``state``."""
    there = {"state": "ready"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"state": there["state"], "user_count": 0})

        def do_POST(self) -> None:
            self._answer({"success": True})

        def _answer(self, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.serve_forever, 0.01)
        urls = {"Locust web UI": f"http://127.0.0.1:{server.server_port}"}
        (player.stack.parents[1] / ACTIVE_FILE).write_text(json.dumps({"urls": urls}))
        yield there
        server.shutdown()


def test_a_load_that_has_ended_by_itself_holds_nothing_up(
    control: ConsoleControl,
    player: Playing,
    locust: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of one that goes on the verdict would be of both, wherever it was started."""
    monkeypatch.setattr(player, "start", lambda _: None)
    demo = {"do": "start", "name": "demo"}
    control.load({"do": "start", "load_profile": "normal", "duration": "1"})
    with pytest.raises(UsageError, match="stop them first"):  # Locust still says what was before
        control.scenario(demo)
    monkeypatch.setattr(module, "LAGS", 0.0, raising=False)
    locust["state"] = "running"
    with pytest.raises(UsageError, match="stop them first"):
        control.scenario(demo)
    locust["state"] = "stopped"
    assert control.scenario(demo) == "The scenario demo begins."
    locust["state"] = "spawning"  # from Locust's own page
    with pytest.raises(UsageError, match="stop them first"):
        control.scenario(demo)


def test_an_api_that_is_gone_has_no_fault(control: ConsoleControl) -> None:
    """A fault that could not be set isn't shown as set."""
    with pytest.raises(StackError, match="fault control"):
        control.fault({"kind": "errors", "ratio": "0.5"})
    assert control.forms()[2].note == ""
