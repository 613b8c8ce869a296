"""A run on a running stack: what it refuses, and how it gathers the evidence."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from testbed.attached import prepare_attached, read_attachment, read_targets
from testbed.attachedhistory import begin_anew
from testbed.attachedrefusals import (
    refuse_alerts,
    refuse_other_replicas,
    refuse_other_service,
    refuse_other_start,
    refuse_what_needs_processes,
    require_key,
    unresolved,
)
from testbed.cli.live import find_stack
from testbed.clients.prometheus import ActiveAlert, AlertRule, PrometheusClient
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.owndata import OwnData
from testbed.resources import find_scenario, scenario_files
from testbed.runoptions import RunOptions
from testbed.scenario import read_scenario
from testbed.scenarioenv import scenario_environment
from testbed.settings import Settings
from testbed.stack.attached import AttachedStack
from testbed.stack.composeconfiguration import main as render
from testbed.targets import BundledApi
from testbed.targets.http import HttpService
from testbed.timeline import Timeline
from testbed_api.http.keys import digest, new_key
from testbed_drift.storage import renewal

if TYPE_CHECKING:
    from testbed.scenario import Scenario

BEGAN = 1000.0


def _scenario(name: str) -> Scenario:
    return read_scenario(find_scenario(name))


@pytest.mark.parametrize("name", sorted(scenario_files()))
def test_every_scenario_is_playable_or_refused_by_name(name: str) -> None:
    """API faults are played; what stops, cuts off or hides a component is named before a start."""
    scenario = _scenario(name)
    faults = [fault for phase in scenario.phases for fault in phase.faults]
    by_control = {"errors", "latency", "unloaded", "log", "overload"}
    api_alone = all(fault.kind in by_control for fault in faults)
    if api_alone and scenario.settings.collector.queue_size is None:
        refuse_what_needs_processes(scenario, RunOptions())
        return
    with pytest.raises(UsageError, match=f"{name} can't be played") as caught:
        refuse_what_needs_processes(scenario, RunOptions())
    assert all(fault.description in str(caught.value) for fault in faults if not fault.by_http)


def test_the_demo_is_playable() -> None:
    """All its faults are the API's own."""
    refuse_what_needs_processes(_scenario("demo"), RunOptions())


def test_options_of_an_own_stack_are_refused(tmp_path: Path) -> None:
    """Each by its name."""
    options = RunOptions(
        rules=tmp_path, without=frozenset({"drift"}), replicas=2, own=OwnData(target="y")
    )
    with pytest.raises(UsageError, match="--data and --target, --rules, --without, --replicas"):
        refuse_what_needs_processes(_scenario("demo"), options)


SERVICE = {"kind": "http", "service": "shop", "url": "http://127.0.0.1:5000", "metrics": []}


def test_a_stack_says_which_service_it_is_of(tmp_path: Path) -> None:
    """Whole; nothing of the bundled API is asked for then."""
    assert render([str(tmp_path)], {}) == 0
    file = tmp_path / "stack.json"
    assert read_attachment(file).target.instrumented
    text = {**json.loads(file.read_text()), "service": SERVICE, "without": ["drift"]}
    file.write_text(json.dumps(text))
    found = read_attachment(file)
    assert found.target.name == "shop"
    assert found.serving() == {}
    file.write_text(found.model_dump_json())
    assert read_attachment(file) == found


def test_a_scenario_with_a_service_is_played_on_a_stack_of_that_one() -> None:
    """Another one, or the bundled API, is refused by name; what it showed since makes no other."""
    own = HttpService.model_validate(SERVICE)
    scenario = _scenario("normal").model_copy(update={"service": own})
    refuse_other_service(scenario, own.model_copy(update={"examples": ({"a": 1},)}))
    refuse_other_service(_scenario("normal"), own)
    with pytest.raises(UsageError, match="its service shop, and this stack was started for the bu"):
        refuse_other_service(scenario, None)
    other = own.model_copy(update={"ready": "/other"})
    with pytest.raises(UsageError, match="was started for shop"):
        refuse_other_service(scenario, other)


def test_a_stack_is_found_by_its_run(tmp_path: Path) -> None:
    """Or by its file, also by one that is not there, which is named when it is read."""
    settings = Settings(home=tmp_path)
    file = settings.runs / "20260101T120000-up-seed1" / "config" / "stack.json"
    file.parent.mkdir(parents=True)
    with pytest.raises(UsageError, match="start it by testbed up --scenario NAME"):
        find_stack(settings, "20260101T120000-up-seed1")
    file.touch()
    assert find_stack(settings, "20260101T120000-up-seed1") == file.resolve()
    assert find_stack(settings, "other/stack.json") == Path("other/stack.json")
    with pytest.raises(UsageError, match="there is no run nonsense"):
        find_stack(settings, "nonsense")


def test_a_stack_of_another_scale_is_refused_with_what_to_do() -> None:
    """The first differences are named, and the command that gives the right variables."""
    demo = _scenario("demo")
    needed = scenario_environment(demo, 30.0, Settings())
    refuse_other_start(demo, needed, needed | {"TESTBED_API_THREADS": "1"})
    started = needed | {"TESTBED_TIME_SCALE": "1", "TESTBED_DRIFT_LEVEL": ""}
    with pytest.raises(UsageError) as caught:
        refuse_other_start(demo, needed, started)
    said = str(caught.value)
    assert "TESTBED_TIME_SCALE is 1, must be 30" in said
    assert "TESTBED_DRIFT_LEVEL is not set, must be 0.0001" in said
    assert "testbed.scenarioenv demo" in said
    assert "\n" not in said


def test_what_the_stack_writes_of_itself_is_read(tmp_path: Path) -> None:
    """As the container leaves it that renders the configuration."""
    assert render([str(tmp_path)], {"COMPOSE_PROFILES": "host,load"}) == 0
    found = read_attachment(tmp_path / "stack.json")
    assert found.profiles == {"host", "load"}
    assert found.addresses["api:9464"] == "api:9464"


def test_a_stack_at_production_scale_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """No model, no address of it is needed for that."""
    assert render([str(tmp_path)], {}) == 0
    with pytest.raises(UsageError, match="TESTBED_TIME_SCALE is not set, must be 30"):
        prepare_attached(
            _scenario("demo"),
            RunOptions(),
            Settings(home=tmp_path),
            tmp_path / "stack.json",
            say=lambda _: None,
        )


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_a_broken_description_is_one_line(tmp_path: Path, text: str) -> None:
    """And one that is missing."""
    with pytest.raises(UsageError, match="no description of a running stack"):
        read_attachment(tmp_path / "stack.json")
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(UsageError, match="is not the description of a running stack: "):
        read_attachment(tmp_path / "stack.json")


def test_targets_that_are_missing_or_broken_are_named(tmp_path: Path) -> None:
    """So that nobody looks for the API elsewhere."""
    with pytest.raises(UsageError, match="no scrape target"):
        read_targets(tmp_path)
    (tmp_path / "api-9464.json").write_text("[{}]")
    with pytest.raises(UsageError, match="can't be read"):
        read_targets(tmp_path)


KEY, OTHER = new_key(), new_key()


@pytest.mark.parametrize(
    ("limit", "file", "said"),
    [
        ("", None, "TESTBED_LOAD_KEY_FILE names"),
        ("", "", "must hold one API key"),
        ("", OTHER, "does not know the key"),
        (" 5 50", KEY, "may ask 5 times a second, and the scenario demo does"),
        ("", KEY, None),
        (" 5000 5000", KEY, None),
    ],
    # Keys differ from process to process, and the names of tests must not.
    ids=["no file", "empty", "unknown", "too slow", "no limit", "enough"],
)
def test_where_keys_are_demanded_the_load_has_one_that_suffices(
    tmp_path: Path, limit: str, file: str | None, said: str | None
) -> None:
    """Else the run is refused before it starts: its requests would be."""
    (tmp_path / "keys").write_text(f"load {digest(KEY)}{limit}\n")
    if file is not None:
        (tmp_path / "key").write_text(f"{file}\n")
    given = None if file is None else tmp_path / "key"
    settings = Settings(home=tmp_path, load_key_file=given)
    keys = str(tmp_path / "keys")
    if said is None:
        require_key(_scenario("demo"), keys, settings)
        return
    with pytest.raises(UsageError, match=said) as caught:
        require_key(_scenario("demo"), keys, settings)
    assert KEY not in str(caught.value)


def test_without_keys_none_is_needed(tmp_path: Path) -> None:
    """An empty variable of Compose is none."""
    require_key(_scenario("demo"), "", Settings(home=tmp_path, load_key_file=""))


def test_a_stack_that_had_more_replicas_is_refused(tmp_path: Path) -> None:
    """What the others counted is in Prometheus, too."""
    journal = tmp_path / "replicas.jsonl"
    refuse_other_replicas(1, 1, journal)
    journal.write_text("".join(json.dumps({"number": number}) + "\n" for number in (0, 1, 0, 1)))
    refuse_other_replicas(2, 2, journal)
    for replicas, serving in ((1, 1), (2, 1), (3, 2)):
        with pytest.raises(UsageError, match=f"TESTBED_API_REPLICAS={replicas}"):
            refuse_other_replicas(replicas, serving, journal)


def test_silence_is_what_fired_and_has_resolved(tmp_path: Path) -> None:
    """The last notification of each alert counts; a receiver that got none is silent."""
    file = tmp_path / "notifications.jsonl"
    assert unresolved(file) == set()
    lines = [("a", "firing"), ("b", "firing"), ("a", "resolved"), ("b", "firing")]
    file.write_text(
        "".join(
            json.dumps({"fingerprint": each, "status": status, "alertname": each.upper()}) + "\n"
            for each, status in lines
        )
    )
    assert unresolved(file) == {"B"}


class _Alerting:
    """A Prometheus with a heartbeat, and with other alerts."""

    def __init__(self, *names: str) -> None:
        self._names = ("Heartbeat", *names)

    def rules(self) -> list[AlertRule]:
        """Which of them always fires, its expression says."""
        return [
            AlertRule(name, "g", query, 0.0, "firing", "ok")
            for name, query in (("Heartbeat", "vector(1)"), ("Slow", "latency > 1"))
        ]

    def alerts(self) -> list[ActiveAlert]:
        """The active ones."""
        return [ActiveAlert({"alertname": name}, {}, "firing") for name in self._names]


def test_a_heartbeat_is_no_reason_to_refuse_a_run(tmp_path: Path) -> None:
    """It fires and is notified all the time; what else is active is named."""
    file = tmp_path / "notifications.jsonl"
    line = {"fingerprint": "a", "status": "firing", "alertname": "Heartbeat"}
    file.write_text(json.dumps(line) + "\n")
    refuse_alerts(cast("PrometheusClient", _Alerting()), file, timeout=0.0)
    with pytest.raises(UsageError, match=r": Slow$"):
        refuse_alerts(cast("PrometheusClient", _Alerting("Slow")), file, timeout=0.0)


class _Attached:
    """A stack whose components are files."""

    def __init__(self, folder: Path, replicas: int = 1, drift_since: float | None = None) -> None:
        self.received, self.drift = folder / "received", folder / "drift"
        self.journal = folder / "replicas.jsonl"
        self.received.mkdir()
        self.drift.mkdir()
        self.layout = RunLayout(folder / "run").create()
        self.serving = {"api:9464": "api-0-a"}
        context: Any = SimpleNamespace(
            layout=self.layout,
            target=BundledApi(),
            without=frozenset(),
            replicas=replicas,
            management=[f"api:{9464 + number}" for number in range(replicas)],
            configuration=SimpleNamespace(targets=self.layout.config / "api.json"),
            serving=dict(self.serving) if replicas == 1 else {},
            api_instances=["api-0-a"] if replicas == 1 else [],
            born=BEGAN - 60,
            drift_since=drift_since,
        )
        self.context = context
        supervisor: Any = SimpleNamespace(poll=list)
        self.stack = AttachedStack(
            context,
            supervisor,
            Timeline(self.layout.timeline),
            received=self.received,
            drift=self.drift,
            since=BEGAN,
            targets=lambda: self.serving,
            journal=self.journal,
        )

    def write(self, path: Path, *lines: dict[str, Any]) -> None:
        """Append lines as another container does."""
        with path.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_came_in_the_runs_time_is_gathered(tmp_path: Path) -> None:
    """Of notifications that alone; drift runs and spans are held against counts of the whole."""
    attached = _Attached(tmp_path)
    notified, spans = attached.received / "notifications.jsonl", attached.received / "traces.jsonl"
    runs = attached.drift / "runs.jsonl"
    attached.write(notified, {"received_at": 999.0}, {"received_at": 1001.0})
    attached.write(runs, {"time": 999.0}, {"time": 1002.0})
    attached.write(spans, {"received_at": 500.0})
    attached.stack.notice_exits()
    over = {"received_at": 1002.0, "ends_at": 998.0}
    attached.write(notified, over, {"received_at": 1003.0, "ends_at": 1002.5})
    attached.stack.notice_exits()
    layout = attached.layout
    assert _lines(layout.earlier_notifications) == [over]
    assert [line["received_at"] for line in _lines(layout.notifications)] == [1001.0, 1003.0]
    assert [line["time"] for line in _lines(layout.drift / "runs.jsonl")] == [999.0, 1002.0]
    assert _lines(layout.traces) == [{"received_at": 500.0}]


def test_reports_are_gathered_at_the_end(tmp_path: Path) -> None:
    """With where the job stands; Evidently's workspace and what was mirrored already stay out."""
    attached = _Attached(tmp_path)
    for name in ("position.json", "published.json", "report-1.html", "workspace/big.json"):
        path = attached.drift / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    attached.write(attached.drift / "runs.jsonl", {"time": 999.0}, {"time": 1002.0})
    attached.stack.notice_exits()
    attached.stack.gather()
    found = {path.name for path in attached.layout.drift.rglob("*") if path.is_file()}
    assert found == {"position.json", "published.json", "report-1.html", "runs.jsonl"}
    assert len(_lines(attached.layout.drift / "runs.jsonl")) == 2


def test_an_api_that_came_back_is_a_crash_of_the_run(tmp_path: Path) -> None:
    """Nobody was to restart it: its new id says that somebody did."""
    attached = _Attached(tmp_path)
    attached.stack.notice_exits()
    attached.serving = {"api:9464": "api-0-b"}
    attached.stack.notice_exits()
    attached.stack.notice_exits()
    crashed = [e for e in _lines(attached.layout.timeline) if e["event"] == "component_crashed"]
    assert [(event["name"], event["outcome"]) for event in crashed] == [
        ("api", "it came back as api-0-b")
    ]
    assert attached.context.api_instances == ["api-0-a", "api-0-b"]


def _started(number: int, instance: str, at: float) -> dict[str, Any]:
    line = {"event": "started", "why": "first", "number": number, "instance": instance}
    return line | {"time": at, "pid": 1}


def test_replicas_are_known_by_the_journal_of_their_supervisor(tmp_path: Path) -> None:
    """Each with its id and its address; one that crashed is said to have, once."""
    attached = _Attached(tmp_path, replicas=2)
    attached.write(attached.journal, _started(0, "api-0-a", 900.0), _started(1, "api-1-a", 900.0))
    attached.stack.notice_exits()
    crash = {"event": "crashed", "number": 1, "instance": "api-1-a", "time": 1001.0}
    again = _started(1, "api-1-b", 1002.0) | {"why": "crash"}
    attached.write(attached.journal, crash, again)
    attached.stack.notice_exits()
    attached.stack.notice_exits()
    assert attached.context.api_instances == ["api-0-a", "api-1-a", "api-1-b"]
    assert attached.context.serving == {"api:9464": "api-0-a", "api:9465": "api-1-b"}
    events = [(e["event"], e["name"]) for e in _lines(attached.layout.timeline)]
    assert [e for e in events if e[0] != "component_started"] == [
        ("replica_started", "api-0-a"),
        ("replica_started", "api-1-a"),
        ("replica_crashed", "api-1-a"),
        ("replica_started", "api-1-b"),
    ]


def test_a_supervisor_of_replicas_that_came_back_is_a_crash_of_the_run(tmp_path: Path) -> None:
    """One that came back before the run is none of it."""
    attached = _Attached(tmp_path, replicas=2)
    for at in (800.0, 900.0, 1001.0):
        attached.write(
            attached.journal, _started(0, f"api-0-{at:.0f}", at), _started(1, f"api-1-{at:.0f}", at)
        )
    attached.stack.notice_exits()
    crashed = [
        e["outcome"] for e in _lines(attached.layout.timeline) if e["event"] == "component_crashed"
    ]
    assert crashed == ["it came back as api-0-1001", "it came back as api-1-1001"]


def test_what_is_said_again_of_an_earlier_alert_is_none_of_the_run(tmp_path: Path) -> None:
    """Alertmanager sends what is over along with the next alert of its group."""
    attached = _Attached(tmp_path)
    lines: list[dict[str, Any]] = [
        {"received_at": 1001.0, "status": "resolved", "ends_at": 990.0},
        {"received_at": 1001.0, "status": "resolved", "ends_at": 1000.5},
        {"received_at": 1001.0, "status": "firing", "ends_at": None},
    ]
    attached.write(attached.received / "notifications.jsonl", *lines)
    attached.stack.notice_exits()
    assert _lines(attached.layout.notifications) == lines[1:]


def test_of_a_drift_job_that_began_anew_the_earlier_output_stays_out(tmp_path: Path) -> None:
    """And its process is one that was started for the run."""
    attached = _Attached(tmp_path, drift_since=BEGAN - 5)
    for name in ("before-990.000/report.html", "report.html"):
        (attached.drift / name).parent.mkdir(exist_ok=True)
        (attached.drift / name).write_text("{}")
    attached.stack.gather()
    found = {str(p.relative_to(attached.layout.drift)) for p in attached.layout.drift.rglob("*")}
    assert found == {"report.html"}
    started = [e for e in _lines(attached.layout.timeline) if e["name"] == "drift"]
    assert [event["time"] for event in started] == [BEGAN - 60, BEGAN - 5]


def _drift_job(folder: Path, stopped: threading.Event) -> None:
    """Takes requests as the job does."""
    while not stopped.wait(0.01):
        if renewal.requested(folder):
            renewal.Renewal(folder).put_aside(time.time())
            (folder / "runs.jsonl").write_text("{}\n")


def test_a_drift_job_that_is_asked_begins_anew(tmp_path: Path) -> None:
    """Once its first run has ended, with the time from which on all is new."""
    (tmp_path / "runs.jsonl").write_text("earlier\n")
    stopped = threading.Event()
    job = threading.Thread(target=_drift_job, args=(tmp_path, stopped))
    job.start()
    before = time.time()
    try:
        assert before <= begin_anew(tmp_path) <= time.time()
    finally:
        stopped.set()
        job.join()
    assert (tmp_path / "runs.jsonl").read_text() == "{}\n"


def test_a_drift_job_that_does_not_begin_anew_is_named(tmp_path: Path) -> None:
    """And is not asked for ever; one that can't be asked is named at once."""
    with pytest.raises(UsageError, match=r"did not begin anew in 0 s \(is it up\?\): begin with"):
        begin_anew(tmp_path, timeout=0.0)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be asked to begin anew"):
        begin_anew(tmp_path / "file")
