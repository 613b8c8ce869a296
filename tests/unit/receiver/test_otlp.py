"""Spans and log records at the receiver: OTLP in JSON becomes whole lines, bounded."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_receiver.app import OtlpSignals, create_app
from testbed_receiver.otlp import BoundedFile, log_records, spans
from testbed_receiver.record import NotificationRecorder, PayloadError

if TYPE_CHECKING:
    from pathlib import Path

ARRIVED = 1_700_000_000.5
RESOURCE = {
    "attributes": [
        {"key": "service.name", "value": {"stringValue": "ml-api"}},
        {"key": "service.instance.id", "value": {"stringValue": "api-1"}},
    ]
}
SPAN = {
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "spanId": "00f067aa0ba902b7",
    "name": "POST /predict",
    "kind": 2,
    "startTimeUnixNano": "1700000000000000000",
    "endTimeUnixNano": "1700000000250000000",
    "status": {"code": 2},
    "attributes": [
        {"key": "http.response.status_code", "value": {"intValue": "500"}},
        {"key": "ids", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
        {"key": "more", "value": {"kvlistValue": {"values": []}}},
        {"key": "none", "value": {}},
    ],
}
RECORD = {
    "timeUnixNano": "1700000000000000000",
    "severityNumber": 9,
    "severityText": "INFO",
    "body": {"stringValue": "request"},
    "traceId": SPAN["traceId"],
    "spanId": SPAN["spanId"],
}


def export(kind: str, *items: dict[str, Any]) -> bytes:
    """An export of one resource and one scope."""
    levels = {"spans": ("resourceSpans", "scopeSpans"), "logRecords": ("resourceLogs", "scopeLogs")}
    resources, scopes = levels[kind]
    scope = {"scope": {"name": "access"}, kind: list(items)}
    return json.dumps({resources: [{"resource": RESOURCE, scopes: [scope]}]}).encode()


def post(
    path: str, body: bytes, signals: OtlpSignals | None, recorder: NotificationRecorder
) -> httpx.Response:
    """Send to the application without a server."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(recorder, lambda: ARRIVED, signals))
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as http:
            return await http.post(path, content=body)

    return asyncio.run(send())


def test_a_span_becomes_a_line() -> None:
    """Its ids, times, status and attributes, and who sent it."""
    (line,) = spans(export("spans", SPAN), ARRIVED)
    assert line["duration"] == pytest.approx(0.25)
    assert line["start"] == pytest.approx(1_700_000_000)
    assert (line["kind"], line["status"], line["parent_id"]) == ("SERVER", "ERROR", "")
    assert (line["service"], line["instance"], line["scope"]) == ("ml-api", "api-1", "access")
    assert line["received_at"] == ARRIVED
    assert line["attributes"] == {
        "http.response.status_code": 500, "ids": ["a"], "more": {}, "none": None,
    }  # fmt: skip


def test_a_log_record_becomes_a_line() -> None:
    """Its text, severity and trace."""
    (line,) = log_records(export("logRecords", RECORD), ARRIVED)
    assert (line["body"], line["severity"], line["severity_text"]) == ("request", 9, "INFO")
    assert (line["trace_id"], line["span_id"]) == (SPAN["traceId"], SPAN["spanId"])


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"[]",
        b"{}",
        export("spans", {"traceId": "a"}),
        export("spans", SPAN | {"kind": 9}),
    ],
)
def test_what_is_no_export_is_refused(body: bytes) -> None:
    """One error, whatever is wrong."""
    with pytest.raises(PayloadError, match="spans"):
        spans(body, ARRIVED)


def test_signals_are_recorded(tmp_path: Path) -> None:
    """Each in its file; a broken export gets 400, and without files the paths are not there."""
    traces, records = tmp_path / "run" / "traces.jsonl", tmp_path / "run" / "records.jsonl"
    with (
        NotificationRecorder(tmp_path / "out") as recorder,
        BoundedFile(traces) as spans_file,
        BoundedFile(records) as records_file,
    ):
        signals = OtlpSignals(spans_file, records_file)
        assert post("/v1/traces", export("spans", SPAN, SPAN), signals, recorder).json() == {}
        assert post("/v1/logs", export("logRecords", RECORD), signals, recorder).is_success
        assert post("/v1/logs", b"{}", signals, recorder).status_code == 400
        assert post("/v1/logs", b"{}", None, recorder).status_code == 404
    assert [json.loads(line)["name"] for line in traces.read_text().splitlines()] == [
        "POST /predict",
        "POST /predict",
    ]
    assert json.loads(records.read_text())["body"] == "request"


def test_a_full_file_says_so_once(tmp_path: Path) -> None:
    """What comes then is let go, also after a restart."""
    path = tmp_path / "traces.jsonl"
    for _ in range(2):
        with BoundedFile(path, limit=30) as file:
            for _ in range(3):
                file.add([{"name": "a" * 5}])
    lines = path.read_text().splitlines()
    assert [json.loads(line) for line in lines[:2]] == [{"name": "aaaaa"}, {"full": True}]
    assert path.stat().st_size < 60
