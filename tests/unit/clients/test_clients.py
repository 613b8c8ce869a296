"""The clients: what they ask, what they make of the answers, and how they fail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import httpx
import pytest
from testbed.clients.alertmanager import AlertmanagerClient
from testbed.clients.prometheus import AlertRule, PrometheusClient, Target
from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeServer:
    """Answers every request with one reply and keeps what it was asked."""

    def __init__(self, reply: Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self._reply = reply

    @property
    def transport(self) -> httpx.MockTransport:
        """The network that leads to it."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        parameters = dict(request.url.params) | dict(httpx.QueryParams(request.content.decode()))
        self.asked.append((request.method, request.url.path, parameters))
        return self._reply(request)


def data(value: object) -> FakeServer:
    """A Prometheus that answers with this."""
    body = {"status": "success", "data": value}
    return FakeServer(lambda _: httpx.Response(200, json=body))


def prometheus(server: FakeServer) -> PrometheusClient:
    """A client of that server."""
    return PrometheusClient("http://prometheus:9090/", transport=server.transport)


def test_an_instant_query_gives_samples() -> None:
    """Labels, time and value; NaN is a value."""
    server = data(
        {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [12.5, "NaN"]}]}
    )
    (sample,) = prometheus(server).query("up", at=12.5)
    assert server.asked == [("POST", "/api/v1/query", {"query": "up", "time": "12.500"})]
    assert (sample.labels, sample.time) == ({"a": "b"}, 12.5)
    assert math.isnan(sample.value)


def test_a_scalar_is_a_sample_without_labels() -> None:
    """So that ``time()`` can be asked for."""
    (sample,) = prometheus(data({"resultType": "scalar", "result": [1.0, "3"]})).query("3")
    assert (sample.labels, sample.value) == ({}, 3.0)


def test_a_query_for_a_matrix_is_refused() -> None:
    """Raw samples have a method of their own."""
    with pytest.raises(StackError, match="gives a matrix"):
        prometheus(data({"resultType": "matrix", "result": []})).query("up[1m]")


def test_a_range_query_gives_series() -> None:
    """Times go over in milliseconds' precision."""
    server = data(
        {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"], [2, "+Inf"]]}]}
    )
    (series,) = prometheus(server).query_range("x", 1.0, 2.0, 0.25)
    asked = server.asked[0][2]
    assert asked.pop("limit") == "0"  # all series
    assert asked == {"query": "x", "start": "1.000", "end": "2.000", "step": "0.250"}
    assert series.points == ((1.0, 2.0), (2.0, math.inf))


def test_a_range_of_too_many_points_names_the_step_that_fits() -> None:
    """Prometheus would refuse it without saying so."""
    with pytest.raises(StackError, match=r"step of at least 1\.09 s"):
        prometheus(data({})).query_range("x", 0.0, 12_000.0, 0.5)


def test_last_values_ask_for_raw_samples() -> None:
    """The end of a series counts even if it went stale; nothing is extrapolated."""
    server = data(
        {
            "resultType": "matrix",
            "result": [
                {"metric": {"instance": "a"}, "values": [[1, "2"], [5, "7"]]},
                {"metric": {"instance": "b"}, "histograms": []},
            ],
        }
    )
    (sample,) = prometheus(server).last_values('x{job="j"}', at=10.0, window=9.0004)
    assert server.asked[0][2] == {"query": 'x{job="j"}[9001ms]', "time": "10.000"}
    assert (sample.time, sample.value) == (5.0, 7.0)


def test_rules_alerts_and_targets_are_read() -> None:
    """The fields that runner and verdict use."""
    rule = {
        "name": "A", "query": "x > 1", "duration": 4, "state": "pending", "health": "err",
        "lastError": "bad",
    }  # fmt: skip
    server = data({"groups": [{"name": "g", "rules": [rule]}]})
    assert prometheus(server).rules() == [
        AlertRule("A", "g", "x > 1", 4.0, "pending", "err", "bad")
    ]
    assert server.asked == [("GET", "/api/v1/rules", {})]

    alert = {"labels": {"alertname": "A"}, "annotations": {"summary": "s"}, "state": "firing"}
    (active,) = prometheus(data({"alerts": [alert]})).alerts()
    assert (active.labels["alertname"], active.state) == ("A", "firing")

    target = {
        "labels": {"job": "j", "instance": "i"}, "scrapeUrl": "http://x/metrics",
        "health": "down", "lastError": "refused",
    }  # fmt: skip
    server = data({"activeTargets": [target]})
    assert prometheus(server).targets() == [Target("j", "i", "http://x/metrics", "down", "refused")]


def test_groups_hold_recording_rules_and_all_that_a_rule_says() -> None:
    """File, interval, labels, annotations and when it was evaluated; year 1 means never."""
    alert = {
        "name": "A", "query": "x > 1", "type": "alerting", "keepFiringFor": 3,
        "labels": {"severity": "critical"}, "annotations": {"summary": "s"},
        "evaluationTime": 0.25, "lastEvaluation": "2026-01-01T00:00:00.5Z", "health": "ok",
    }  # fmt: skip
    record = {
        "name": "r:x", "query": "x", "type": "recording", "health": "unknown",
        "lastEvaluation": "0001-01-01T00:00:00Z",
    }  # fmt: skip
    found = {"name": "g", "file": "/r/a.yml", "interval": 2, "rules": [alert, record]}
    server = data({"groups": [found]})
    (group,) = prometheus(server).groups()
    assert (group.name, group.file, group.interval) == ("g", "/r/a.yml", 2.0)
    first, second = group.rules
    assert (first.kind, first.keep_firing, first.evaluation_time) == ("alerting", 3.0, 0.25)
    assert (first.labels["severity"], first.annotations["summary"]) == ("critical", "s")
    assert first.last_evaluation == 1767225600.5
    assert (second.kind, second.last_evaluation, second.interval) == ("recording", None, 2.0)
    assert [rule.name for rule in prometheus(server).rules()] == ["A"]


def test_series_are_asked_for_between_two_times() -> None:
    """Labels alone come back."""
    server = data([{"__name__": "up", "job": "j"}])
    (labels,) = prometheus(server).series("up", start=1.0, end=2.0)
    assert labels["job"] == "j"
    asked = {"match[]": "up", "limit": "0", "start": "1.000", "end": "2.000"}
    assert server.asked == [("POST", "/api/v1/series", asked)]


def test_readiness_is_a_plain_question() -> None:
    """Not ready and not there are both no."""
    assert prometheus(FakeServer(lambda _: httpx.Response(200))).ready()
    assert not prometheus(FakeServer(lambda _: httpx.Response(503))).ready()

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert not prometheus(FakeServer(refuse)).ready()


def raise_timeout(_: httpx.Request) -> httpx.Response:
    """A server that hangs."""
    raise httpx.ReadTimeout("")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            lambda _: httpx.Response(400, json={"status": "error", "error": "parse\nerror"}),
            "answered 400: parse error",
        ),
        (lambda _: httpx.Response(502, text="<html>"), "answered 502 without JSON"),
        (lambda _: httpx.Response(200, json={"x": 1}), "does not answer like Prometheus"),
        (raise_timeout, "does not answer: ReadTimeout"),
    ],
)
def test_failures_are_one_line_that_names_the_server(
    reply: Callable[[httpx.Request], httpx.Response], message: str
) -> None:
    """Never a traceback of the HTTP library."""
    with pytest.raises(StackError) as caught:
        prometheus(FakeServer(reply)).query("up")
    assert message in str(caught.value)
    assert "http://prometheus:9090" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_alertmanager_alerts_and_status_are_read() -> None:
    """State, times and receivers of each alert."""
    alert = {
        "labels": {"alertname": "A"}, "annotations": {}, "status": {"state": "active"},
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-01T00:05:00Z",
        "receivers": [{"name": "r"}],
    }  # fmt: skip
    server = FakeServer(lambda _: httpx.Response(200, json=[alert]))
    (found,) = AlertmanagerClient("http://am", transport=server.transport).alerts()
    assert (found.state, found.receivers) == ("active", ("r",))
    assert server.asked == [("GET", "/api/v2/alerts", {})]

    body = {
        "versionInfo": {"version": "0.31.1"}, "uptime": "2026-01-01T00:00:00Z",
        "cluster": {"status": "disabled"},
    }  # fmt: skip
    server = FakeServer(lambda _: httpx.Response(200, json=body))
    assert AlertmanagerClient("http://am", transport=server.transport).status().version == "0.31.1"


def test_something_else_on_alertmanagers_port_is_noticed() -> None:
    """One line, not a KeyError."""
    server = FakeServer(lambda _: httpx.Response(200, json={}))
    client = AlertmanagerClient("http://am", transport=server.transport)
    for ask in (client.alerts, client.status):
        with pytest.raises(StackError, match="does not answer like Alertmanager"):
            ask()
