"""Spans and log records: they arrive, and say of their requests what the load saw."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from testbed.checks.loadspans import NAME
from testbed.checks.signals import LEVEL, bounds
from testbed.checks.stages import Stage
from testbed.clients.prometheus import PrometheusClient
from testbed.facts.loadspans import LoadSpans
from testbed.facts.logrecords import RecordFacts, record_facts
from testbed.facts.signals import EXPORTER, Arrival, Signals, _setting, read_signals
from testbed.facts.sources import RunSpan, Sources
from testbed.facts.spans import Found, Setting, SpanFacts, span_facts
from testbed.faults.api import LatencyFault
from testbed.layout import RunLayout
from testbed.phases import PhaseRow
from testbed.pipeline import Export, Pipeline, Process, SpanCount
from testbed.scenario import Scenario
from testbed.stack.configuration import SINK_EXPORTER
from testbed.targets import BundledApi
from testbed.truth import Truth
from testbed_otel import names
from testbed_otel.otlplogs import ACCESS

from tests.unit.verdict.conftest import FACTOR, INSTANCE, SCENARIO, make_requests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.checks.results import CheckResult
    from testbed.truth import Request

    from tests.unit.verdict.conftest import World

Line = dict[str, Any]


def span_of(request: Request, number: int) -> Line:
    """The span of a request, as the receiver writes it."""
    return {
        "received_at": request.finished_at + 0.5,
        "service": names.SERVICE_API,
        "instance": INSTANCE,
        "scope": "opentelemetry.instrumentation.fastapi",
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "parent_id": "",
        "name": "POST /predict",
        "kind": "SERVER",
        "start": request.sent_at + 0.002,
        "duration": 0.006,
        "status": "ERROR" if request.failed else "UNSET",
        "attributes": {
            names.HTTP_METHOD: "POST",
            names.HTTP_ROUTE: "/predict",
            names.HTTP_STATUS: request.status,
            names.REQUEST_ID: [request.request_id],
        },
    }


def record_of(request: Request, number: int, *, sampled: bool) -> Line:
    """The record of a request in the access log."""
    span = span_of(request, number)
    return {
        **{name: span[name] for name in ("received_at", "service", "instance", "trace_id")},
        "span_id": span["span_id"],
        "scope": ACCESS,
        "time": request.finished_at - 0.001,
        "severity": 9,
        "severity_text": "INFO",
        "body": "request",
        "attributes": {
            "route": "/predict",
            "status": request.status,
            "duration": 0.006,
            "request_id": request.request_id,
            "trace_id": span["trace_id"],
            "trace_sampled": sampled,
        },
    }


@dataclass
class Traffic:
    """Every tenth request and each that fails has a span; each has a record."""

    requests: list[Request] = field(default_factory=make_requests)
    slowed: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        traced = [(n, r) for n, r in enumerate(self.requests) if r.failed or n % 10 == 5]
        chosen = {number for number, _ in traced}
        self.spans = [span_of(request, number) for number, request in traced]
        self.records = [
            record_of(request, number, sampled=number in chosen)
            for number, request in enumerate(self.requests)
        ]

    @property
    def setting(self) -> Setting:
        """What holds of the run."""
        known = {request.request_id: request for request in self.requests}
        return Setting(known, frozenset({INSTANCE}), 995.0, 1060.0, 1050.0, self.slowed)

    def facts(self) -> SpanFacts:
        """Of the spans."""
        return span_facts(self.spans, self.setting)

    def logs(self) -> RecordFacts:
        """Of the records."""
        return record_facts(self.records, self.spans, self.setting)


@pytest.fixture
def traffic() -> Traffic:
    """Traffic without a fault."""
    return Traffic()


def edit(line: Line, **changes: object) -> None:
    """Change fields; names of attributes begin with ``a_``."""
    for name, value in changes.items():
        if name.startswith("a_"):
            line["attributes"][ATTRIBUTES[name]] = value
        else:
            line[name] = value


ATTRIBUTES = {
    "a_status": names.HTTP_STATUS,
    "a_route": names.HTTP_ROUTE,
    "a_code": "status",
    "a_path": "route",
    "a_trace": "trace_id",
}


def evaluated(world: World, traffic: Traffic, **more: Any) -> dict[str, str]:  # noqa: ANN401 - of facts
    """What fails with this traffic, at a ratio of 0.1."""
    made = len(traffic.spans)
    arrival = Arrival(received=made, accepted=made, sent=made, by_then=made, before=made)
    known = {"sink": True, "ratio": 0.1, "spans": arrival, "records": arrival}
    facts = {"traces": traffic.facts(), "logs": traffic.logs()}
    world.signals = Signals.model_validate(known | facts | more)
    return {
        check.name: check.summary
        for check in world.evaluate().failed
        if check.name.startswith(("spans", "log records"))
    }


def world_that_made(world: World, spans: int) -> World:
    """A world whose process says how many spans it exported."""
    process = Process(
        instance=INSTANCE,
        exports=(Export(time=1059.0, exports=1, points=1),),
        spans=(SpanCount(time=1059.0, ended=spans, begun=spans),),
    )
    world.pipeline = Pipeline(processes=(process,))
    return world


def test_sound_traffic_passes(world: World, traffic: Traffic) -> None:
    """Spans and records are joined with their requests, and nothing is wrong."""
    facts = traffic.facts()
    assert (facts.requests, facts.ordinary, facts.failed) == (500, 400, 100)
    assert (facts.sampled, facts.untraced.count, facts.faults) == (50, 0, {})
    logs = traffic.logs()
    assert (logs.records, logs.missing.count, logs.traced, logs.faults) == (500, 0, 150, {})
    assert not evaluated(world_that_made(world, 150), traffic)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "POST"}, "with a wrong name"),
        ({"name": "predict"}, "with a wrong name"),
        ({"kind": "INTERNAL"}, "not of kind SERVER"),
        ({"a_route": "/predict/7"}, "with a wrong route"),
        ({"a_status": 201}, "with a wrong HTTP status"),
        ({"status": "ERROR"}, "with a wrong span status"),
        ({"duration": 0.0}, "without a duration"),
        ({"duration": 6.0}, "outside of the time in which the client waited"),
        ({"start": 1030.0}, "outside of the time in which the client waited"),
        ({"start": 10.0}, "out of the run's time"),
        ({"service": "another"}, "of an unknown service"),
        ({"instance": "another"}, "of an unknown instance"),
        ({"parent_id": "ab"}, "whose parent did not arrive"),
        ({"trace_id": "0" * 32}, "in a trace of another request"),
    ],
)
def test_faults_of_spans_are_found(
    world: World, traffic: Traffic, change: dict[str, object], fault: str
) -> None:
    """Where all ordinary spans have the fault, the verdict names it, and the instrument."""
    for line in traffic.spans:
        if line["status"] == "UNSET":
            edit(line, **change)
    assert fault in traffic.facts().faults
    assert evaluated(world_that_made(world, 150), traffic)
    (check,) = (c for c in world.evaluate().failed if c.name == "spans content")
    assert any(fault in line for line in check.details)
    assert check.stage is Stage.INSTRUMENT


def test_a_status_that_is_never_error_is_found(world: World, traffic: Traffic) -> None:
    """Requests that failed must show it."""
    for line in traffic.spans:
        edit(line, status="UNSET")
    said = evaluated(world_that_made(world, 150), traffic)
    assert "100 spans with a wrong span status" in said["spans content"]


def test_one_span_in_the_wrong_place_is_chance(world: World, traffic: Traffic) -> None:
    """A thread that was not given the processor is no defect."""
    edit(traffic.spans[0], start=traffic.spans[0]["start"] + 0.5)
    assert not evaluated(world_that_made(world, 150), traffic)


def test_spans_that_last_a_little_longer_than_their_clients_waited(
    world: World, traffic: Traffic
) -> None:
    """Each alone could be chance; all of them cannot."""
    for line in traffic.spans:
        edit(line, duration=0.02)
    said = evaluated(world_that_made(world, 150), traffic, logs=None)
    assert "10.0 ms longer than their clients waited" in said["spans content"]


def test_spans_shorter_than_the_added_latency_are_found(traffic: Traffic) -> None:
    """A constant duration is seen where the service was slowed down."""
    traffic.slowed = ((1000.0, 1010.0, 0.005),)
    assert traffic.facts().faults == {}
    traffic.slowed = ((1000.0, 1010.0, 1.5),)
    assert traffic.facts().faults["shorter than the latency that was added"].count == 10


def test_children_lie_within_their_parents(traffic: Traffic) -> None:
    """In time and in trace; a child's name is its own affair."""
    parent = traffic.spans[0]
    child = deepcopy(parent) | {
        "span_id": "c1", "parent_id": parent["span_id"], "kind": "INTERNAL", "attributes": {},
        "name": "inference", "duration": 0.001,
    }  # fmt: skip
    traffic.spans.append(child)
    assert traffic.facts().faults == {}
    child["duration"] = 5.0
    assert set(traffic.facts().faults) == {"outside of its parent's time"}
    child |= {"duration": 0.001, "trace_id": "ab"}
    assert set(traffic.facts().faults) == {"whose parent is in another trace"}


def test_a_span_that_arrives_twice_is_found(traffic: Traffic) -> None:
    """Once is enough."""
    traffic.spans.append(deepcopy(traffic.spans[0]))
    assert set(traffic.facts().faults) == {"arrived more than once"}


@pytest.mark.parametrize(
    ("remove", "says"),
    [
        (lambda line: line["status"] == "UNSET", "samples other requests than it was asked to"),
        (lambda line: line["status"] == "ERROR", "makes no span of requests that fail"),
    ],
)
def test_spans_that_were_never_made_are_missed(
    world: World, traffic: Traffic, remove: Callable[[Line], bool], says: str
) -> None:
    """None of those that sampling must yield, or none of those that failed."""
    traffic.spans = [line for line in traffic.spans if not remove(line)]
    said = evaluated(world_that_made(world, len(traffic.spans)), traffic, logs=None)
    assert says in said["spans sampled"]


def test_too_many_spans_are_found(world: World) -> None:
    """Everything sampled at a ratio of 0.1 is not what was asked for."""
    traffic = Traffic()
    traffic.spans = [span_of(request, n) for n, request in enumerate(traffic.requests)]
    said = evaluated(world_that_made(world, 500), traffic, logs=None)
    assert "400 of 400 ordinary requests" in said["spans sampled"]


def test_spans_that_were_lost_on_the_way_are_not_the_instruments_fault(
    world: World, traffic: Traffic
) -> None:
    """The process made them: the hops say where they are."""
    traffic.spans = []
    said = evaluated(world_that_made(world, 150), traffic, logs=None)
    assert "spans sampled" not in said
    (check,) = (c for c in world.evaluate().checks if c.name == "spans sampled")
    assert "lost on the way" in check.summary


def test_a_ratio_of_zero_fails_unless_no_spans_are_wanted(world: World, traffic: Traffic) -> None:
    """The run must yield spans."""
    traffic.spans = []
    world_that_made(world, 0)
    assert "the ratio is 0" in evaluated(world, traffic, ratio=0.0, logs=None)["spans sampled"]
    world.scenario["traces"] = False
    assert not evaluated(world, traffic, ratio=0.0, logs=None)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"body": None}, "without a body"),
        ({"severity": 0}, "without a severity"),
        ({"time": 10.0}, "out of the run's time"),
        ({"time": 1059.0}, "with a wrong time"),
        ({"a_code": 418}, "with a wrong HTTP status"),
        ({"a_path": "/other"}, "with a wrong route"),
        ({"trace_id": ""}, "without a trace"),
        ({"a_trace": "ab"}, "of another trace than they say"),
        ({"span_id": "ab"}, "whose span did not arrive"),
        ({"instance": "another"}, "of an unknown sender"),
    ],
)
def test_faults_of_records_are_found(
    world: World, traffic: Traffic, change: dict[str, object], fault: str
) -> None:
    """The verdict names what is wrong with them."""
    for line in traffic.records:
        edit(line, **change)
    assert fault in traffic.logs().faults
    assert evaluated(world_that_made(world, 150), traffic)
    (check,) = (c for c in world.evaluate().failed if c.name == "log records content")
    assert any(fault in line for line in check.details)


def test_records_and_spans_agree_on_who_was_sampled(traffic: Traffic) -> None:
    """One that says no has no span, and no other request's span is in its trace."""
    for line in traffic.records:
        line["attributes"]["trace_sampled"] = False
    assert traffic.logs().faults["that deny their span"].count == 150
    traffic = Traffic()
    first, second = traffic.records[5], traffic.records[15]
    for name in ("trace_id", "span_id"):
        second[name] = second["attributes"][name] = first[name]
    assert traffic.logs().faults["in the trace of another request"].count == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"severity_text": "DEBUG", "severity": 5}, "DEBUG"),
        ({"severity": 17}, "INFO with the number 17"),
    ],
)
def test_a_wrong_severity_is_found(traffic: Traffic, changes: dict[str, object], says: str) -> None:
    """The access log is at INFO, and number and text of a severity agree."""
    edit(traffic.records[0], **changes)
    found = traffic.logs().faults["with a wrong severity"]
    assert found.count == 1
    assert says in found.examples[0]


@pytest.mark.parametrize(
    ("place", "sampled", "wrong"),
    [(0.01, True, False), (0.01, False, True), (0.5, True, True), (0.101, True, False)],
)
def test_the_trace_id_says_who_is_sampled(
    traffic: Traffic, place: float, *, sampled: bool, wrong: bool
) -> None:
    """As OpenTelemetry's sampler has it; near to the ratio it may have been rounded."""
    traffic.records = traffic.records[1:2]
    trace = f"{7:016x}{int(place * 2**64):016x}"
    edit(traffic.records[0], trace_id=trace, a_trace=trace)
    traffic.records[0]["attributes"]["trace_sampled"] = sampled
    setting = replace(traffic.setting, ratio=0.1)
    faults = record_facts(traffic.records, (), setting).faults
    assert ("sampled otherwise than their trace id says" in faults) is wrong


def test_missing_and_doubled_records_are_found(world: World, traffic: Traffic) -> None:
    """Each answered request has one."""
    traffic.records.append(deepcopy(traffic.records[0]))
    del traffic.records[10]
    assert traffic.logs().faults["twice for one request"].count == 1
    said = evaluated(world_that_made(world, 150), traffic)
    assert "1 of 500 answered requests have no log record" in said["log records content"]


def test_durations_in_records_and_spans_agree(world: World, traffic: Traffic) -> None:
    """Both are of the same request."""
    for line in traffic.records:
        line["attributes"]["duration"] = 6.0
    said = evaluated(world_that_made(world, 150), traffic)
    assert "than the access log says" in said["log records content"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"by_then": 140}, "lacks 10 of 150 spans"),
        ({"waiting": 3}, "did not send on 3"),
        ({"before": 160, "by_then": 160}, "got 160 spans, the Collector sent 150"),
        ({"broken": 1}, "1 broken lines"),
        ({"full": True, "by_then": 140}, None),
        ({"waiting": 3, "restarted": True}, None),
    ],
)
def test_what_the_collector_sent_is_what_arrived(
    world: World, traffic: Traffic, change: dict[str, Any], says: str | None
) -> None:
    """Else the Collector or the way behind it is to blame."""
    arrival = Arrival(received=150, accepted=150, sent=150, by_then=150, before=150)
    said = evaluated(
        world_that_made(world, 150), traffic, spans=arrival.model_copy(update=change), logs=None
    )
    if says is None:
        assert "spans arrived" not in said
    else:
        assert says in said["spans arrived"]


def test_log_records_that_never_left_are_missed(world: World, traffic: Traffic) -> None:
    """The scenario asked for them, and the Collector saw none."""
    traffic.records = []
    said = evaluated(world_that_made(world, 150), traffic, records=Arrival())
    assert "No log records reached the Collector" in said["log records arrived"]


def test_what_cannot_be_looked_at_is_said(world: World) -> None:
    """Without the parts nothing is reported as passed; of runs of before nothing is said."""
    world.signals = Signals(ratio=0.01)
    for parts in (("receiver",), ("collector",)):
        world.without = parts
        checks = [c for c in world.evaluate().checks if c.name.startswith(("spans", "log records"))]
        assert len(checks) == 5
        assert not any(check.applicable for check in checks)
        assert all(part in check.summary for check in checks for part in parts)
    world.signals = Signals()
    assert not [c for c in world.evaluate().checks if c.name.startswith("spans")]


@pytest.mark.parametrize(
    ("number", "ratio", "expected"),
    [(0, 0.1, (0, 0)), (100, 0.01, (0, 9)), (10_000, 0.01, (53, 156)), (50, 1.0, (50, 50))],
)
def test_bounds_of_chance(number: int, ratio: float, expected: tuple[int, int]) -> None:
    """They hold what is likely, and grow as its square root."""
    assert LEVEL <= 1e-6
    assert bounds(number, ratio) == expected


class FakeCollectorCounts:
    """Prometheus with two scrapes of the Collector per life."""

    def __init__(self, accepted: list[int], sent: list[int]) -> None:
        self.counts = {"accepted": accepted, "sent": sent}

    def client(self) -> PrometheusClient:
        """A client that talks to it."""
        return PrometheusClient("http://prometheus", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        query = httpx.QueryParams(request.content.decode())["query"]
        kind = "accepted" if "accepted" in query else "sent"
        values = [[1045.0 + n, str(value)] for n, value in enumerate(self.counts[kind])]
        found = [{"metric": {}, "values": values}] if "_spans_" in query and values else []
        data = {"resultType": "matrix", "result": found}
        return httpx.Response(200, json={"status": "success", "data": data})


def read(layout: RunLayout, accepted: list[int], sent: list[int]) -> Signals:
    """Read the signals of a made-up run."""
    with FakeCollectorCounts(accepted, sent).client() as client:
        return read_signals(
            Sources(
                prometheus=client,
                alertmanager=None,
                layout=layout,
                scenario=Scenario.model_validate(SCENARIO),
                factor=FACTOR,
                truth=Truth(None, None, tuple(make_requests())),
                target=BundledApi(),
                target_pages={INSTANCE: ""},
                log_url="",
                span=RunSpan(995.0, 1060.0, 0.5),
            )
        )


@pytest.fixture
def layout(tmp_path: Path, traffic: Traffic) -> RunLayout:
    """A run whose receiver got the spans."""
    layout = RunLayout(tmp_path / "run").create()
    layout.run_file.write_text(json.dumps({"trace_ratio": 0.1}))
    layout.traces.write_text("".join(json.dumps(line) + "\n" for line in traffic.spans))
    return layout


def test_the_exporter_is_the_one_that_is_configured() -> None:
    """Facts may not import the stack, so the name stands twice."""
    assert EXPORTER == SINK_EXPORTER


def test_signals_are_read(layout: RunLayout) -> None:
    """Spans from the file, counts from Prometheus, the ratio from the run."""
    found = read(layout, [100, 150, 150], [100, 150, 150])
    assert (found.sink, found.ratio, found.logs) == (True, 0.1, None)
    assert found.traces is not None
    assert found.traces.joined == 150
    counts = (found.spans.received, found.spans.accepted, found.spans.sent)
    assert counts == (150, 150, 150)
    # By 1047.2 and by 1045, the time of the last scrape and well before it.
    assert (found.spans.by_then, found.spans.before) == (147, 144)


def test_counts_of_a_restarted_collector_are_added_up(layout: RunLayout) -> None:
    """Its counters begin at 0 again, which is not a loss."""
    found = read(layout, [100, 20, 50], [100, 20, 50]).spans
    assert (found.accepted, found.sent, found.restarted) == (150, 150, True)


def test_what_the_collector_never_sends_is_waiting(layout: RunLayout) -> None:
    """Two scrapes later it should be gone, whichever exporter else has it."""
    assert read(layout, [100, 150, 150, 150], []).spans.waiting == 100


def test_broken_lines_and_a_full_file_are_noticed(layout: RunLayout) -> None:
    """Whole lines count; what says that the file is full is none."""
    with layout.traces.open("a") as file:
        file.write('{"full":true}\n{"name": \n{}\n')
    found = read(layout, [150], [150]).spans
    assert (found.received, found.broken, found.full) == (150, 2, True)


def test_records_that_were_asked_for_are_looked_at(layout: RunLayout) -> None:
    """Also where none came."""
    layout.run_file.write_text(json.dumps({"trace_ratio": 0.1, "logs": True}))
    logs = read(layout, [150], [150]).logs
    assert logs is not None
    assert logs.missing.count == logs.requests > 0


def test_a_run_without_the_receiver_has_no_sink(layout: RunLayout) -> None:
    """Its Collector sends elsewhere."""
    layout.run_file.write_text(json.dumps({"trace_ratio": 0.1, "without": ["receiver"]}))
    assert read(layout, [], []) == Signals(ratio=0.1)


def test_requests_that_just_ended_need_no_span_yet(traffic: Traffic) -> None:
    """What is on its way is not missing."""
    late = replace(traffic.setting, arrived=1020.0)
    assert span_facts(traffic.spans, late).failed == 50


def test_found_counts_all_and_shows_some(traffic: Traffic) -> None:
    """Facts stay small."""
    for line in traffic.spans:
        edit(line, name="x")
    found = traffic.facts().faults["with a wrong name"]
    assert (found.count, len(found.examples)) == (150, 3)
    assert found == Found.model_validate_json(found.model_dump_json())


def test_records_of_lost_spans_are_not_the_instruments_fault(
    world: World, traffic: Traffic
) -> None:
    """The processes made 150 spans: that 20 of them did not arrive, the hops say."""
    del traffic.spans[:20]
    assert traffic.logs().faults["whose span did not arrive"].count == 20
    assert "log records content" not in evaluated(world_that_made(world, 150), traffic)
    assert "log records content" in evaluated(world_that_made(world, 130), traffic)


def test_failed_exports_that_arrived_all_the_same_are_chance(
    world: World, traffic: Traffic
) -> None:
    """Their process sends them again, or takes them for lost."""
    traffic.spans.append(deepcopy(traffic.spans[0]))
    world_that_made(world, 150)
    arrival = Arrival(received=151, accepted=151, sent=151, by_then=151, before=151)
    assert "arrived more than once" in evaluated(world, traffic)["spans content"]
    assert not evaluated(world, traffic, spans=arrival.model_copy(update={"failed": 1}))


@pytest.mark.parametrize(("ratio", "slowed"), [(1.0, 1), (0.2, 0)])
def test_a_latency_of_some_requests_bounds_no_span(
    tmp_path: Path, ratio: float, slowed: int
) -> None:
    """Of a fault that hits every fifth request nobody knows which spans must be long."""
    layout = RunLayout(tmp_path)
    fault = LatencyFault(seconds=0.5, ratio=ratio)
    layout.timeline.write_text(
        json.dumps({"time": 1000.5, "event": "fault_on", "name": fault.label}) + "\n"
    )
    phase = {"name": "slow", "duration": "10m", "rate": 10, "faults": [fault.model_dump()]}
    sources = SimpleNamespace(
        scenario=Scenario.model_validate(
            {"name": "x", "title": "x", "description": "x", "phases": [phase]}
        ),
        layout=layout,
        phases=(PhaseRow(name="slow", start=1000.0, end=1020.0),),
        truth=Truth(1000.0, 1020.0),
        pages={},
        span=RunSpan(999.0, 1021.0, 0.5),
        real=lambda production: production / 30,
    )
    assert len(_setting(cast("Sources", sources)).slowed) == slowed


def test_a_span_of_a_trace_that_the_load_sent_needs_no_stored_parent() -> None:
    """The load stores none; a trace that another request was sent in is found."""
    traffic = Traffic()
    ids = {number: f"{number + 1:032x}" for number in range(len(traffic.requests))}
    traffic.requests = [replace(r, trace_id=ids[n]) for n, r in enumerate(traffic.requests)]
    for line in traffic.spans:
        line["parent_id"] = "00f067aa0ba902b7"
    facts = span_facts(traffic.spans, traffic.setting)
    assert facts.faults == {}
    traffic.requests[5] = replace(traffic.requests[5], trace_id="f" * 32)
    assert list(span_facts(traffic.spans, traffic.setting).faults) == [
        "whose parent did not arrive",
        "in a trace of another request",
    ]


@pytest.mark.parametrize("seconds", [60.0, -60.0])
def test_stamps_of_another_clock_are_counted_by_process(
    world: World, traffic: Traffic, seconds: float
) -> None:
    """Of some spans and records; what is of their content fails as well."""
    assert (traffic.facts().clocks, traffic.logs().clocks) == ((), ())
    for line in traffic.spans[:40]:
        line["start"] += seconds
    for line in traffic.records[:200]:
        line["time"] += seconds
    (spans,), (records,) = traffic.facts().clocks, traffic.logs().clocks
    assert (spans.instance, spans.count, spans.of) == (INSTANCE, 40, 150)
    assert (records.instance, records.count, records.of) == (INSTANCE, 200, 500)
    for each in (spans, records):
        assert each.seconds == pytest.approx(seconds, abs=0.1)
    assert {"spans content", "log records content"} <= set(evaluated(world, traffic))


def test_spans_of_a_run_before_need_no_stored_parent_either() -> None:
    """They are stored on a stack that has answered before; no truth of this run holds them."""
    traffic = Traffic()
    ids = {number: f"{number + 1:032x}" for number in range(len(traffic.requests))}
    traffic.requests = [replace(r, trace_id=ids[n]) for n, r in enumerate(traffic.requests)]
    for line in traffic.spans:
        line["parent_id"] = "00f067aa0ba902b7"
    earlier, traffic.requests = traffic.requests[:50], traffic.requests[50:]
    assert any(line["start"] < earlier[-1].finished_at for line in traffic.spans)
    faults = span_facts(traffic.spans, traffic.setting).faults
    assert "whose parent did not arrive" not in faults


def with_spans_of_the_load(traffic: Traffic) -> Traffic:
    """Requests were sent in traces, and each span of the API begins in one of the load's."""
    chosen = {line["trace_id"] for line in traffic.spans}
    ids = [f"{number + 1:032x}" for number in range(len(traffic.requests))]
    traffic.requests = [
        replace(r, trace_id=each, sampled=each in chosen)
        for r, each in zip(traffic.requests, ids, strict=True)
    ]
    for line in list(traffic.spans):
        parent = f"f{line['span_id'][1:]}"
        line["parent_id"] = parent
        of_load = {"service": names.SERVICE_LOAD, "instance": "load-run-1", "kind": "CLIENT"}
        traffic.spans.append(line | of_load | {"span_id": parent, "parent_id": ""})
    return traffic


def load_said(world: World, traffic: Traffic, lost: int = 0) -> dict[str, CheckResult]:
    """What the check says of the load's spans, of which so many were lost."""
    setting = replace(traffic.setting, load="run")
    arrived = len(traffic.spans)
    arrival = Arrival(received=arrived, accepted=arrived, sent=arrived, by_then=arrived)
    world_that_made(world, arrived + lost)
    facts = span_facts(traffic.spans, setting)
    world.signals = Signals(sink=True, ratio=0.1, spans=arrival, traces=facts)
    return {check.name: check for check in world.evaluate().checks}


def test_spans_of_the_load_are_counted_apart(world: World, traffic: Traffic) -> None:
    """They are no spans of the API; each begins the trace of its request."""
    before = traffic.facts()
    facts = span_facts(with_spans_of_the_load(traffic).spans, replace(traffic.setting, load="run"))
    assert (facts.joined, facts.sampled, facts.faults) == (before.joined, before.sampled, {})
    assert facts.load == LoadSpans(due=150, arrived=150, parents=150)
    assert {each.spans: each.sent for each in facts.slowest} == {0: False, 2: True}
    found = load_said(world, traffic)[NAME]
    assert found.passed
    assert "150 spans of the load for 150 requests" in found.summary
    assert NAME not in {each.name for each in world_that_made(world, 0).evaluate().failed}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda spans: spans.pop(), "1 requests whose trace is stored have no span of the load"),
        (lambda spans: spans.append(spans[-1] | {"span_id": "0" * 16}), "more than one span"),
        (lambda spans: spans[-1].update(trace_id="f" * 32), "are of no request whose trace"),
        (lambda spans: spans[0].update(parent_id="a" * 16), "1 spans of the API don't begin in"),
    ],
)
def test_spans_of_the_load_that_don_t_fit_its_truth_are_found(
    world: World, traffic: Traffic, change: Callable[[list[Line]], object], says: str
) -> None:
    """One too few, one too many, one of nothing; and one of the API with another parent."""
    change(with_spans_of_the_load(traffic).spans)
    found = load_said(world, traffic)[NAME]
    assert (found.passed, found.stage) == (False, Stage.LOAD)
    assert says in " ".join((found.summary, *found.details))


def test_spans_of_the_load_that_were_lost_on_the_way_are_explained(
    world: World, traffic: Traffic
) -> None:
    """Where they were lost, the hops say."""
    del with_spans_of_the_load(traffic).spans[-2:]
    assert load_said(world, traffic, lost=2)[NAME].passed
    assert not load_said(world, traffic, lost=1)[NAME].passed


def test_the_slowest_requests_are_listed_with_their_traces() -> None:
    """By the time that they were due, with the number of spans that were stored."""
    traffic = Traffic()
    slow = replace(traffic.requests[5], scheduled_at=990.0, trace_id=f"{6:032x}")
    traffic.requests[5] = slow
    first, *others = span_facts(traffic.spans, traffic.setting).slowest
    assert (first.request_id, first.trace_id, first.spans) == (slow.request_id, slow.trace_id, 1)
    assert first.latency == slow.finished_at - 990.0
    assert len(others) == 9
