"""What the console lets a caller do: the token, other sites, files of runs."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from testbed.consoleapp.app import ConsolePages, create_app, inside
from testbed.consoleapp.overview import Overview
from testbed.consoleapp.playing import Player
from testbed.consoleapp.runfolder import RunFolder
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.live import live_scenario
from testbed.stack.prometheuspage import IN_CONSOLE
from testbed_domain.tokens import ensure_token

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.consoleapp.control import ConsoleControl


URL = "http://127.0.0.1:9070"


class Client:
    """Asks the console without a server, as a page of its own would."""

    def __init__(self, console: ConsolePages) -> None:
        self._app = create_app(console)

    def get(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """GET a path."""
        return self._ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """POST a form."""
        return self._ask("POST", path, **more)

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(cast("Any", self._app))
            async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())


class Recorded:
    """In place of what starts and stops: remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.said = ""
        self.actions = {"fault": self.fault}

    def forms(self) -> tuple[()]:
        """None."""
        return ()

    def fault(self, form: Mapping[str, str]) -> str:
        """Do it, or refuse."""
        self.asked.append(form)
        if form.get("kind") == "wild":
            raise UsageError("there is no such fault")
        return "From now on <b>half</b> of the predictions fail."


@pytest.fixture
def control() -> Recorded:
    """What was asked."""
    return Recorded()


@pytest.fixture
def folder(tmp_path: Path) -> RunLayout:
    """A run of `up` whose Prometheus is gone."""
    layout = RunLayout(tmp_path / "runs" / "one").create()
    identity = {
        "scenario": "up",
        "intake": "one-1a2b",
        "time_scale": 30.0,
        "replicas": 1,
        "trace_ratio": 0.01,
        "endpoints": {"prometheus:9090": f"127.0.0.1:{free_port()}"},
    }
    layout.run_file.write_text(json.dumps(identity))
    return layout


@pytest.fixture
def client(folder: RunLayout, control: Recorded) -> Client:
    """The console with a token."""
    run, runs = RunFolder(folder), folder.root.parent
    console = ConsolePages(
        run, runs, Overview(run, runs, None), cast("ConsoleControl", control), "t" * 20
    )
    return Client(console)


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ({"token": "t" * 20}, {}, 303),
        ({}, {}, 403),
        ({"token": "t" * 19}, {}, 403),
        ({"token": "\u00e4"}, {}, 403),
        ({"token": "t" * 20}, {"Origin": "http://127.0.0.1:9070"}, 303),
        ({"token": "t" * 20}, {"Origin": "https://evil.example"}, 403),
        ({"token": "t" * 20}, {"Origin": "null"}, 403),
        ({"token": "t" * 20}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"token": "t" * 20}, {"Host": "evil.example"}, 421),
        ({"token": "t" * 20, "kind": "wild"}, {}, 400),
        ({"token": "t" * 20, "kind": "x" * 20_000}, {}, 413),
    ],
)
def test_a_change_needs_the_token_and_comes_from_here(
    client: Client,
    control: Recorded,
    form: dict[str, str],
    headers: dict[str, str],
    status: int,
) -> None:
    """Nothing is done without; what is done does not see the token."""
    reply = client.post("/fault", data=form, headers=headers)
    assert reply.status_code == status
    assert len(control.asked) == (status in {303, 400})
    assert not any("token" in asked for asked in control.asked)


def test_changes_are_made_one_at_a_time(folder: RunLayout) -> None:
    """A button that is pressed twice must not start two scenarios on one stack."""
    together: list[int] = []

    class Slow(Recorded):
        def fault(self, form: Mapping[str, str]) -> str:
            together.append(len(self.asked))
            self.asked.append(form)
            threading.Event().wait(0.05)
            self.asked.pop()
            return ""

    run, runs = RunFolder(folder), folder.root.parent
    slow = cast("ConsoleControl", Slow())
    app = create_app(ConsolePages(run, runs, Overview(run, runs, None), slow, "t" * 20))

    async def twice() -> None:
        transport = httpx.ASGITransport(cast("Any", app))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            form = {"token": "t" * 20}
            await asyncio.gather(*(client.post("/fault", data=form) for _ in range(3)))

    asyncio.run(twice())
    assert together == [0, 0, 0]


def test_a_get_changes_nothing_and_other_names_are_unknown(
    client: Client, control: Recorded
) -> None:
    """A link can't do what a form does."""
    assert client.get("/fault", params={"token": "t" * 20}).status_code in {404, 405}
    assert client.post("/nothing", data={"token": "t" * 20}).status_code == 404
    assert control.asked == []


def test_a_run_that_plays_lets_nothing_be_changed(folder: RunLayout) -> None:
    """Not even with a token that is empty."""
    run, runs = RunFolder(folder), folder.root.parent
    console = ConsolePages(run, runs, Overview(run, runs, None))
    client = Client(console)
    reply = client.post("/fault", data={"token": ""})
    assert reply.status_code == 403
    assert "verdict" in reply.text


def test_pages_answer_while_prometheus_does_not(client: Client) -> None:
    """Each says so in words, under a policy that lets no foreign script run."""
    for path in ("/", "/query?expr=up", "/graph?g0.expr=up", "/rules", "/alerts", "/targets"):
        reply = client.get(path)
        assert reply.status_code == 200, path
        assert "does not answer" in reply.text, path
        policy = reply.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
    for path in ("/traces", "/logs", "/health/ready", "/static/console.js", "/static/report.css"):
        assert client.get(path).status_code == 200, path
    assert client.get("/traces/abc").status_code == 404


def test_what_was_done_is_said_and_escaped(client: Client) -> None:
    """On the page to which the form leads."""
    assert client.post("/fault", data={"token": "t" * 20}).headers["location"] == "/"
    assert "&lt;b&gt;half&lt;/b&gt;" in client.get("/").text


def test_only_reports_of_runs_are_served(client: Client, folder: RunLayout) -> None:
    """A run's folder holds tokens; a page of a run gets an origin of its own."""
    ensure_token(folder.console_token)
    folder.report_file.write_text("<p>a report")
    (folder.root.parent.parent / "outside.html").write_text("x")
    (folder.root / "link.html").symlink_to(folder.root.parent.parent / "outside.html")
    reply = client.get("/runs/one/report.html")
    assert reply.text == "<p>a report"
    assert reply.headers["content-security-policy"].startswith("sandbox")
    assert "allow-same-origin" not in reply.headers["content-security-policy"]
    for path in ("one/console-token", "one/run.json", "../outside.html", "one/link.html", "one"):
        assert client.get(f"/runs/{path}").status_code in {404, 405}, path
        assert inside(folder.root.parent, path) is None, path


@pytest.mark.parametrize("where", ["runs", "runbooks"])
@pytest.mark.parametrize("name", ["%00", "one%00.html", f"{'a' * 5000}.md", "circle.html", "c.md"])
def test_a_name_that_no_file_can_have_is_not_found(
    client: Client, folder: RunLayout, where: str, name: str
) -> None:
    """The system itself refuses to look for it."""
    (folder.config / "runbooks").mkdir(parents=True)
    for link in (folder.root.parent / "circle.html", folder.config / "runbooks" / "c.md"):
        link.symlink_to(link)
    assert client.get(f"/{where}/{name}").status_code == 404


def test_a_runbook_that_leads_elsewhere_is_not_shown(client: Client, folder: RunLayout) -> None:
    """A link in the folder of somebody's rules opens no other file of this machine."""
    ensure_token(folder.console_token)
    runbooks = folder.config / "runbooks"
    runbooks.mkdir(parents=True)
    (runbooks / "Own.md").write_text("# Own")
    (runbooks / "Token.md").symlink_to(folder.console_token)
    assert "Own" in client.get("/runbooks/Own.md").text
    assert client.get("/runbooks/Token.md").status_code == 404


def test_a_run_elsewhere_shows_its_own_report(tmp_path: Path, folder: RunLayout) -> None:
    """One with ``--out`` is not below the folder of runs; its verdict is said, too."""
    run, runs = RunFolder(folder), tmp_path / "others"
    folder.report_file.write_text("<p>a report")
    folder.verdict_file.write_text('{"passed": false}')
    client = Client(ConsolePages(run, runs, Overview(run, runs, None)))
    assert client.get("/runs/one/report.html").text == "<p>a report"
    assert client.get("/runs/one/other.html").status_code == 404
    page = client.get("/").text
    assert "The run has failed." in page
    assert 'href="/runs/one/report.html"' in page


def test_the_token_is_its_owners_alone(folder: RunLayout) -> None:
    """As other secrets of a run."""
    ensure_token(folder.console_token)
    assert stat.S_IMODE(folder.console_token.stat().st_mode) == 0o600


def test_a_runbook_of_the_project_can_be_read(client: Client) -> None:
    """As a page, tables included; nothing else of the disk can."""
    reply = client.get("/runbooks/TelemetryPipelineDown.md")
    assert "<h1>" in reply.text
    assert "<table>" in reply.text
    for name in ("..%2Fglossary.md", "nothing.md"):
        assert client.get(f"/runbooks/{name}").status_code == 404, name


def test_a_stack_for_a_scenario_is_refused_where_it_needs_its_processes() -> None:
    """Such a scenario has a stack of its own."""
    assert live_scenario("demo").name == "up"
    with pytest.raises(UsageError, match="testbed run api-outage"):
        live_scenario("api-outage")


def test_a_stack_that_was_started_for_none_plays_none(folder: RunLayout) -> None:
    """And says how one is that does."""
    player = Player(RunFolder(folder), folder.root.parent)
    with pytest.raises(UsageError, match="testbed up --scenario demo"):
        player.start("demo")
    with pytest.raises(UsageError, match="no such scenario"):
        player.start("../demo")
    assert player.said() == ""


@pytest.mark.parametrize("path", [*IN_CONSOLE, "graph"])
def test_it_has_the_pages_to_which_prometheus_leads(client: Client, path: str) -> None:
    """By links of alerts, and from the page of a Prometheus without its web UI."""
    assert client.get(f"/{path}").status_code == 200
    assert client.get(f"/one-1a2b/{path}").status_code == 200, "those of a run"
    assert client.get(f"/two-3c4d/{path}").status_code == 404, "those of another run"


def test_an_address_without_a_page_has_one_that_says_so(client: Client) -> None:
    """With the menu, also where only a form could be sent to it."""
    for path, status in (("/nothing", 405), ("/no/such/page", 404), ("/fault", 405)):
        answer = client.get(path)
        assert (answer.status_code, "There is no such page." in answer.text) == (status, True), path
