"""Evidence: from files and answers of the stack to frozen data, whatever state they are in."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed.charts import HTTP_COUNT
from testbed.clients.prometheus import PrometheusClient, Series
from testbed.errors import UsageError
from testbed.evidence import Evidence, collect, load_evidence
from testbed.facts.alertspans import alert_spans
from testbed.facts.finalcounts import behind, parse_counters
from testbed.facts.labelposts import postings
from testbed.facts.logcontent import late_labels
from testbed.facts.logcounts import join_log, read_log
from testbed.facts.logrows import LoggedLabel
from testbed.layout import RunLayout
from testbed.scenario import Labels, Scenario
from testbed.targets import BundledApi
from testbed.truth import Request, Truth, read_truth
from testbed_domain.logstore import PredictionRow, open_log
from testbed_otel import names

from .conftest import SCENARIO

if TYPE_CHECKING:
    from pathlib import Path

COUNT = "http_server_request_duration_seconds_count"
ANSWER = 'http_request_method="POST",http_response_status_code="200",http_route="/predict"'
METRICS = f"""\
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{{http_route="/predict",le="+Inf"}} 7
{COUNT}{{{ANSWER},url_scheme="http",otel_scope_name="x"}} 5.0
{COUNT}{{{ANSWER},url_scheme="https",otel_scope_name="x"}} 2.0
{COUNT}{{http_request_method="GET",http_response_status_code="200",http_route="/health"}} 9.0
# TYPE ml_labels_total counter
ml_labels_total{{outcome="stored"}} 3.0
# TYPE other_total counter
other_total 4.0
"""


def request(number: int, sent_at: float = 100.0) -> Request:
    """A request that was answered a tenth of a second later."""
    at = sent_at - 0.5
    return Request(
        f"r{number}", "normal", at, sent_at, sent_at + 0.1, 200, None, f"p{number}",
        seq=number, features={"a": 1},
    )  # fmt: skip


def write_truth(folder: Path, count: int = 2, promised: int = 2) -> None:
    """The load's files, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "start.json").write_text(json.dumps({"time": 100.0}))
    (folder / "end.json").write_text(json.dumps({"time": 110.0, "requests": promised, "labels": 3}))
    lines = [
        {
            "seq": n,
            "request_id": f"r{n}",
            "phase": "normal",
            "scheduled_at": 100.0 + n,
            "sent_at": 100.5 + n,
            "finished_at": 100.6 + n,
            "status": 200,
            "error": None,
            "prediction_id": f"p{n}",
            "features": {"a": 1},
        }
        for n in range(count)
    ]
    (folder / "requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "labels.jsonl").write_text('{"sent_at": 105, "status": 200, "seqs": [0, 1, 2]}\n')


def test_a_whole_truth_has_no_problem(tmp_path: Path) -> None:
    """Every field arrives where it belongs."""
    write_truth(tmp_path)
    truth = read_truth(tmp_path)
    assert truth.problems == ()
    assert (truth.started_at, truth.ended_at) == (100.0, 110.0)
    assert truth.requests[1] == request(1, sent_at=101.5)
    assert truth.labels[0].count == 3


def test_a_broken_last_line_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    """What a killed load leaves; the whole lines before it still count."""
    write_truth(tmp_path)
    with (tmp_path / "requests.jsonl").open("a") as file:
        file.write('{"seq": 2, "request_id": "r')
    truth = read_truth(tmp_path)
    assert len(truth.requests) == 2
    assert truth.problems == ("requests.jsonl: 1 broken line",)


def test_lines_that_lack_a_field_are_a_problem(tmp_path: Path) -> None:
    """As when another version wrote them."""
    write_truth(tmp_path)
    with (tmp_path / "requests.jsonl").open("a") as file:
        file.write('{"seq": 2}\n[1]\n')
    assert read_truth(tmp_path).problems == (
        "requests.jsonl: 1 broken line",
        "requests.jsonl: 1 lines lack a field",
    )


def test_counts_that_the_load_promised_are_compared(tmp_path: Path) -> None:
    """``end.json`` says how much there must be."""
    write_truth(tmp_path, promised=3)
    assert read_truth(tmp_path).problems == ("end.json speaks of 3 requests, 2 were written",)


def test_a_load_that_never_ended_is_a_problem(tmp_path: Path) -> None:
    """And so is one that left nothing at all."""
    write_truth(tmp_path)
    (tmp_path / "end.json").unlink()
    (problem,) = read_truth(tmp_path).problems
    assert problem.startswith("end.json is missing")
    empty = read_truth(tmp_path / "nowhere")
    assert empty.requests == ()
    assert len(empty.problems) == 3


def test_counters_are_reduced_to_what_is_compared() -> None:
    """Schemes are summed up, health checks and other metrics left out."""
    assert [(c.metric, c.value) for c in parse_counters(METRICS)] == [
        (HTTP_COUNT, 7),
        ("ml_labels_total", 3),
    ]


def test_samples_of_an_alert_join_to_spans() -> None:
    """A pause in which it did not fire splits them, a missed evaluation does not."""
    labels = {"__name__": "ALERTS", "alertname": "A", "alertstate": "firing", "severity": "warning"}
    times = (1.0, 1.5, 2.5, 8.0, 8.5)
    spans = alert_spans([Series(labels, tuple((t, 1.0) for t in times))], lambda _: 1.25)
    assert [(s.start, s.end, s.state) for s in spans] == [
        (1.0, 2.5, "firing"),
        (8.0, 8.5, "firing"),
    ]
    assert spans[0].labels == {"alertname": "A", "severity": "warning"}


def test_a_group_with_an_interval_of_its_own_has_spans_of_its_own() -> None:
    """Samples that come as often as the group is evaluated are one span, not many of 0 s."""
    labels = {"__name__": "ALERTS", "alertname": "A", "alertstate": "pending"}
    series = [Series(labels, tuple((2.0 * number, 1.0) for number in range(6)))]
    (span,) = alert_spans(series, {"A": 5.0}.__getitem__)
    assert (span.start, span.end) == (0.0, 10.0)
    assert len(alert_spans(series, lambda _: 1.25)) == 6


def test_the_log_is_joined_with_the_truth_by_both_ids() -> None:
    """Missing, foreign, doubled and unanswered rows are distinguished."""
    truth = Truth(
        100.0,
        110.0,
        (
            request(0),
            request(1),
            replace(request(2), status=None, error="timeout", prediction_id=None),
            request(3),
        ),
    )
    found = [("p0", "r0"), ("p1", None), ("late", "r2"), ("x", "stranger"), ("again", "r0")]
    rows = [(prediction, of, "two" if of is None else "one") for prediction, of in found]
    facts = join_log(truth, rows, 5)
    assert (facts.rows, facts.labels) == (5, 5)
    assert facts.missing.examples == ("p3",)
    assert facts.foreign.examples == ("x",)
    assert facts.duplicated.examples == ("r0",)
    assert facts.unanswered == 2
    assert facts.by_instance == {"one": 4, "two": 1}


def log_row(number: int, time: float) -> PredictionRow:
    """A row as the API writes it."""
    return PredictionRow(
        id=f"p{number}",
        time=time,
        request_id=f"r{number}",
        instance="api-1",
        model_name="m",
        model_version="v",
        features={"a": 1},
        prediction="1",
        probability=0.9,
        probabilities={"1": 0.9, "0": 0.1},
    )


def test_only_rows_of_this_run_are_read(tmp_path: Path) -> None:
    """A log that several runs share holds older rows too."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(url) as log:
        log.append([log_row(0, 50.0), log_row(1, 100.0)])
        log.append_labels([("p0", "1", 60.0), ("p1", "1", 105.0)])
    facts = read_log(url, Truth(100.0, 110.0, (request(1),)), since=99.0)
    assert (facts.rows, facts.labels, facts.foreign.count) == (1, 1, 0)


class FakePrometheus:
    """Answers as Prometheus does, from a handful of series."""

    def __init__(self, requests_held: int = 7) -> None:
        self.requests_held = requests_held
        self.alive = True

    def client(self) -> PrometheusClient:
        """A client that talks to it."""
        return PrometheusClient("http://prometheus", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if not self.alive:
            raise httpx.ConnectError("connection refused")
        if request.url.path == "/api/v1/rules":
            rule = {
                "name": "A", "query": "x > 1", "duration": 2, "state": "firing", "health": "ok",
            }  # fmt: skip
            return self._data({"groups": [{"name": "g", "rules": [rule]}]})
        if request.url.path == "/api/v1/series":
            return self._data([])
        query = httpx.QueryParams(request.content.decode())["query"]
        if query == "time()":
            return self._data({"resultType": "scalar", "result": [time.time(), str(time.time())]})
        return self._data({"resultType": "matrix", "result": self._series(query)})

    def _series(self, query: str) -> list[dict[str, Any]]:
        if query.startswith("ALERTS["):
            metric = {"__name__": "ALERTS", "alertname": "A", "alertstate": "firing"}
            return [{"metric": metric, "values": [[103.0, "1"], [103.5, "1"]]}]
        if query.startswith(f"{HTTP_COUNT}{{") and query.endswith("ms]"):
            metric = {
                "instance": "api-1", "http_request_method": "POST", "http_route": "/predict",
                "http_response_status_code": "200",
            }  # fmt: skip
            held = str(self.requests_held)
            return [{"metric": metric, "values": [[104.0, "1"], [109.0, held]]}]
        if query.startswith("max(ml_data_drift_ratio"):
            return [{"metric": {}, "values": [[104.0, "0.25"], [105.0, "NaN"]]}]
        return []

    @staticmethod
    def _data(data: object) -> httpx.Response:
        return httpx.Response(200, json={"status": "success", "data": data})


def make_run(root: Path) -> RunLayout:
    """The files that a run leaves besides ``series.json``."""
    layout = RunLayout(root).create()
    write_truth(layout.truth)
    (layout.config / "prometheus.yml").write_text("global: {evaluation_interval: 500ms}")
    layout.run_file.write_text(
        json.dumps(
            {
                "id": "run-1",
                "scenario": "normal",
                "synthetic": False,
                "data": "mine.csv",
                "seed": 1,
                "export_interval": 0.5,
                "use_case": "any",
            }
        )
    )
    layout.timeline.write_text('{"time": 99.0, "event": "run_started", "name": "normal"}\n')
    notification = {
        "received_at": 104.0, "status": "firing", "alertname": "A", "labels": {"alertname": "A"},
        "annotations": {"summary": "s"}, "starts_at": 103.0, "ends_at": None, "receiver": "r",
    }  # fmt: skip
    after = notification | {"received_at": 500.0}
    iso = notification | {"received_at": "1970-01-01T00:01:45Z", "starts_at": None}
    layout.notifications.write_text(
        "".join(json.dumps(entry) + "\n" for entry in (notification, after, iso))
    )
    column = {"score": 0.001, "drifted": True}
    drift = {
        "time": 106.0, "outcome": "success", "decision": "ALERT", "drift_share": 0.5,
        "columns": {"a": column, "b": column | {"drifted": False}}, "reasons": ["1 of 2"],
        "html": "drift_a_vs_b.html", "json": "drift_a_vs_b.json",
    }  # fmt: skip
    too_few = {"time": 105.0, "outcome": "insufficient_data", "message": "20 of 200 rows"}
    (layout.drift / "runs.jsonl").write_text(json.dumps(too_few) + "\n" + json.dumps(drift) + "\n")
    with open_log(f"sqlite:///{layout.prediction_log}") as log:
        log.append([log_row(0, 101.0), log_row(1, 102.0)])
    return layout


def take(layout: RunLayout, prometheus: FakePrometheus) -> Evidence:
    """Collect the evidence of a made-up run."""
    with prometheus.client() as client:
        return collect(
            layout,
            client,
            None,
            scenario=Scenario.model_validate(SCENARIO),
            target=BundledApi(),
            pages={"api-1": METRICS, "api-0": None},
            log_url=f"sqlite:///{layout.prediction_log}",
            factor=30.0,
            clock=lambda: 110.0,
        )


def unexplained(problems: tuple[str, ...]) -> list[str]:
    """Problems of the evidence, but for the model that a made-up run does not have."""
    return [problem for problem in problems if "no model artefact" not in problem]


@pytest.mark.slow
def test_evidence_is_collected_kept_and_loaded_again(tmp_path: Path) -> None:
    """What is loaded later from the folder alone is what was collected."""
    layout = make_run(tmp_path / "run")
    evidence = take(layout, FakePrometheus())
    assert load_evidence(layout) == evidence
    snapshot = evidence.snapshot
    assert unexplained(snapshot.problems) == []
    assert (snapshot.started_at, snapshot.ended_at) == (99.0, 110.0)
    assert snapshot.api["api-0"] is None
    assert [c.value for c in snapshot.prometheus["api-1"] if c.metric == HTTP_COUNT] == [7]
    assert [(s.alert, s.start, s.end) for s in snapshot.spans] == [("A", 103.0, 103.5)]
    assert snapshot.rules is not None
    assert snapshot.rules[0].for_ == 2.0
    assert snapshot.log is not None
    assert snapshot.log.rows == 2
    drift = next(chart for chart in snapshot.charts if chart.key == "drift")
    assert drift.lines[0].points == ((104.0, 0.25), (105.0, None))
    assert [n.received_at for n in evidence.notifications] == [104.0, 105.0]
    assert [run.drifted for run in evidence.drift_runs] == [(), ("a",)]
    assert evidence.drift_runs[0].reasons == ("20 of 200 rows",)
    assert evidence.run.data_source == "real data from mine.csv"


def test_a_dead_prometheus_becomes_a_problem(tmp_path: Path) -> None:
    """There is a verdict all the same: that the evidence is missing."""
    layout = make_run(tmp_path / "run")
    prometheus = FakePrometheus()
    prometheus.alive = False
    evidence = take(layout, prometheus)
    assert evidence.snapshot.rules is None
    assert evidence.snapshot.log is not None
    missing = {problem.partition(":")[0] for problem in evidence.snapshot.problems}
    assert missing >= {"alerts", "rules", "telemetry", "series", "evaluation of the rules"}
    assert evidence.snapshot.pipeline is None
    assert all("does not answer" in each for each in unexplained(evidence.snapshot.problems))


@pytest.mark.parametrize(("held", "missing"), [(7, 3), (5, 5), (9, 3)])
def test_how_far_prometheus_is_behind(held: int, missing: int) -> None:
    """The three labels never arrived; requests count where they lack."""
    with FakePrometheus(held).client() as client:
        texts = {"api-1": METRICS, "api-0": None}
        assert behind(texts, client, at=110.0, window=20.0) == missing


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path: Path) -> None:
    """Each missing piece is named."""
    layout = RunLayout(tmp_path)
    with pytest.raises(UsageError, match=r"run\.json is missing"):
        load_evidence(layout)
    layout.run_file.write_text("{}")
    with pytest.raises(UsageError, match=r"run\.json is not the identity of a run: id "):
        load_evidence(layout)
    layout.run_file.write_text('{"id": "x", "scenario": "y"}')
    with pytest.raises(UsageError, match=r"series\.json is missing"):
        load_evidence(layout)
    older = {"schema_version": 1, "started_at": 0.0, "ended_at": 1.0, "api": {}, "prometheus": {}}
    layout.series.write_text(json.dumps(older))
    with pytest.raises(UsageError, match="another version"):
        load_evidence(layout)


def test_the_compared_counters_are_in_the_vocabulary() -> None:
    """A metric that is renamed must not silently count as 0."""
    known = {series for metric in names.METRICS for series in metric.prometheus_series}
    assert HTTP_COUNT in known


def test_lines_of_several_processes_are_put_in_order_of_time(tmp_path: Path) -> None:
    """Each reports some times a second, so that a later request may stand first."""
    write_truth(tmp_path, count=3, promised=3)
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    (tmp_path / "labels.jsonl").write_text(
        '{"sent_at": 107, "status": 200, "seqs": [1]}\n'
        '{"sent_at": 105, "status": 200, "seqs": [2, 0]}\n'
    )
    truth = read_truth(tmp_path)
    assert [each.seq for each in truth.requests] == [0, 1, 2]
    assert [batch.seqs for batch in truth.labels] == [(2, 0), (1,)]
    found = postings(truth, Labels(), 1)
    sent = {each.request.seq: each.batch and each.batch.sent_at for each in found}
    assert sent == {0: 105, 1: 107, 2: 105}


def test_labels_of_a_refused_batch_that_the_log_holds_are_counted(tmp_path: Path) -> None:
    """Its time was up while they were written; those of a batch that was taken are not late."""
    write_truth(tmp_path, count=3, promised=3)
    (tmp_path / "labels.jsonl").write_text(
        '{"sent_at": 105, "status": 503, "seqs": [2, 0]}\n'
        '{"sent_at": 107, "status": 200, "seqs": [1]}\n'
    )
    truth = read_truth(tmp_path)
    due = postings(truth, Labels(), 1)
    stored = [LoggedLabel(str(r.prediction_id), "1", 106.0) for r in truth.requests if r.seq != 2]
    assert late_labels(stored, due) == 1
