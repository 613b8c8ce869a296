"""The alert receiver without a process."""

from __future__ import annotations

import asyncio
import json
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from testbed_receiver.__main__ import main
from testbed_receiver.app import create_app
from testbed_receiver.messages import MessageRecorder
from testbed_receiver.record import NotificationRecorder, PayloadError, notifications
from testbed_receiver.smtp import MailHandler, mail_server

from tests.support.fulldisk import full_disk
from tests.support.ports import free_port

ARRIVED = 1_700_000_000.5


def alert(status: str = "firing", name: str = "APIDown", **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager posts it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": "It <b>is</b> down.", "description": "api-1"},
        "startsAt": "2023-11-14T22:13:10.123456789Z",
        "endsAt": "2023-11-14T22:13:20+00:00" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "abc",
    }


def webhook(*alerts: dict[str, Any]) -> dict[str, Any]:
    """A webhook's body."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="APIDown"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "critical",
        "groupLabels": {"alertname": "APIDown"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
    }


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, each whole JSON."""
    text = path.read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


class Client:
    """Sends requests to the application without a server."""

    def __init__(self, recorder: NotificationRecorder, page: str | None = None) -> None:
        app = create_app(recorder, lambda: ARRIVED, page_url=page)
        self.transport = httpx.ASGITransport(app)

    def get(self, path: str) -> httpx.Response:
        """GET a path."""
        return asyncio.run(self._send("GET", path))

    def post(self, body: object) -> httpx.Response:
        """POST a notification, as JSON or as raw bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(self._send("POST", "/notifications", content))

    async def _send(self, method: str, path: str, content: bytes = b"") -> httpx.Response:
        async with httpx.AsyncClient(transport=self.transport, base_url="http://receiver") as http:
            return await http.request(method, path, content=content)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """File of the notifications, in a directory that is not there yet."""
    return tmp_path / "run" / "notifications.jsonl"


@pytest.fixture
def client(out: Path) -> Iterator[Client]:
    """A client of the receiver."""
    with NotificationRecorder(out) as recorder:
        yield Client(recorder)


def test_every_alert_becomes_one_line(client: Client, out: Path) -> None:
    """A firing and a resolved alert are appended with arrival time, at once."""
    reply = client.post(webhook(alert(), alert("resolved", instance="a")))
    assert (reply.status_code, reply.json()) == (200, {"recorded": 2})
    firing, resolved = lines(out)
    assert firing == {
        "received_at": ARRIVED,
        "status": "firing",
        "alertname": "APIDown",
        "labels": {"alertname": "APIDown", "severity": "critical"},
        "annotations": {"summary": "It <b>is</b> down.", "description": "api-1"},
        "starts_at": 1_699_999_990.123456,
        "ends_at": None,
        "group_key": '{}:{alertname="APIDown"}',
        "receiver": "critical",
        "fingerprint": "abc",
        "delivery": 0,
        "trace": "",
    }
    assert (resolved["status"], resolved["ends_at"]) == ("resolved", 1_700_000_000.0)
    assert client.get("/notifications").json() == [firing, resolved]


def test_notifications_survive_a_restart(client: Client, out: Path) -> None:
    """A second receiver appends to what the first wrote, and webhooks still differ."""
    client.post(webhook(alert(), alert()))
    with NotificationRecorder(out) as recorder:
        recorder.add(*notifications(json.dumps(webhook(alert())).encode(), ARRIVED + 1))
    recorded = lines(out)
    assert [line["received_at"] for line in recorded] == [ARRIVED, ARRIVED, ARRIVED + 1]
    first, same, other = (line["delivery"] for line in recorded)
    assert first == same
    assert first != other


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (json.dumps(webhook() | {"version": "3"}).encode(), "version"),
        (json.dumps(webhook(alert() | {"startsAt": "yesterday"})).encode(), "alerts.0.startsAt"),
        (json.dumps(webhook(alert() | {"labels": None})).encode(), "alerts.0.labels"),
        (json.dumps(webhook(alert(), alert("sleeping"))).encode(), "alerts.1.status"),
    ],
)
def test_a_bad_body_is_refused_whole(client: Client, out: Path, body: bytes, reason: str) -> None:
    """400 and one line that names the field; nothing is written, nothing else is lost."""
    client.post(webhook(alert()))
    reply = client.post(body)
    assert reply.status_code == 400
    assert reply.text.count("\n") == 1
    assert f": {reason}: " in reply.text
    assert len(lines(out)) == 1
    assert client.post(webhook(alert())).status_code == 200
    assert len(lines(out)) == 2


def test_a_full_disk_leaves_no_half_line(out: Path) -> None:
    """The sender gets 503, so it tries again, and the file holds whole lines only."""
    with NotificationRecorder(out) as recorder:
        client = Client(recorder)
        client.post(webhook(alert()))
        with full_disk(out.stat().st_size + 100):
            reply = client.post(webhook(alert(), alert()))
        assert reply.status_code == 503
        assert "try again" in reply.text
        assert len(lines(out)) == 1
        assert client.post(webhook(alert())).status_code == 200
        assert len(lines(out)) == 2


def test_page_is_readable_and_escapes(client: Client) -> None:
    """People see the newest first; what an alert says is no HTML."""
    assert "None so far" in client.get("/").text
    client.post(webhook(alert(name="First"), alert(name="Second")))
    page = client.get("/").text
    assert page.index("Second") < page.index("First")
    assert "It &lt;b&gt;is&lt;/b&gt; down." in page
    assert "2023-11-14 22:13:20.500" in page


def test_the_page_can_be_elsewhere(tmp_path: Path) -> None:
    """Where the console shows the same, there is no second page."""
    with NotificationRecorder(tmp_path / "out.jsonl") as recorder:
        reply = Client(recorder, "http://127.0.0.1:9070/").get("/")
    assert reply.is_redirect
    assert reply.headers["location"] == "http://127.0.0.1:9070/"


def test_ready(client: Client) -> None:
    """Readiness has its own path."""
    assert client.get("/health/ready").status_code == 200


def test_wrong_version_is_a_payload_error() -> None:
    """The pure reader raises, too."""
    with pytest.raises(PayloadError, match="version 4"):
        notifications(b"{}", ARRIVED)


def test_unwritable_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The process says what to change and ends with 2."""
    assert main(["--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--out" in error


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Page and list show what the file held before; a line cut off by a crash is passed over."""
    path = tmp_path / "notifications.jsonl"
    body = json.dumps(webhook(alert("firing", "APIDown"))).encode()
    with NotificationRecorder(path) as recorder:
        recorder.add(*notifications(body, ARRIVED))
    with path.open("ab") as file:
        file.write(b'{"received_at": 1')
    with NotificationRecorder(path) as again:
        assert [each.alertname for each in again.recent] == ["APIDown"]


def test_messages_of_integrations_are_recorded_and_shown(tmp_path: Path) -> None:
    """Who got what stands in the file and on the page; a notification bears its trace, too."""
    path, out = tmp_path / "messages.jsonl", tmp_path / "notifications.jsonl"
    header = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    with NotificationRecorder(out) as recorder, MessageRecorder(path) as messages:
        app = create_app(recorder, lambda: ARRIVED, messages=messages)

        async def talk() -> tuple[httpx.Response, httpx.Response, str]:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
                await client.post("/notifications", json=webhook(alert()), headers=header)
                sent = await client.post(
                    "/receivers/team~20ml/slack/1", json={"text": "<b>It</b>"}, headers=header
                )
                wrong = await client.post("/receivers/team/nothing/1", json={})
                return sent, wrong, (await client.get("/")).text

        sent, wrong, page = asyncio.run(talk())
        assert (sent.status_code, sent.text) == (200, "ok")
        assert wrong.status_code == 400
        assert "not the address of an integration" in wrong.text
        assert "<td>team ml</td>" in page
        assert "<td>slack</td>" in page
        assert "&lt;b&gt;It&lt;/b&gt;" in page
        assert "<td>critical</td>" in page
    (found,) = lines(path)
    assert (found["receiver"], found["integration"], found["index"]) == ("team ml", "slack", 1)
    assert (found["text"], found["received_at"]) == ("<b>It</b>", ARRIVED)
    (notified,) = lines(out)
    assert found["trace"] == notified["trace"] == "0af7651916cd43dd8448eb211c80319c"
    with MessageRecorder(path) as again:
        assert [each.text for each in again.recent] == ["<b>It</b>"]


def test_mails_are_recorded_by_the_hello_of_their_client(tmp_path: Path) -> None:
    """What names no receiver is refused, so that Alertmanager counts it as failed."""
    path, port = tmp_path / "messages.jsonl", free_port()

    def send(hello: str) -> None:
        with smtplib.SMTP("127.0.0.1", port, local_hostname=hello, timeout=60) as client:
            client.sendmail("a@b", ["c@d"], b"Subject: It fires\r\n\r\nHighErrorRate\r\n")

    async def talk(messages: MessageRecorder) -> None:
        async with mail_server(MailHandler(messages, lambda: ARRIVED), "127.0.0.1", port):
            await asyncio.to_thread(send, "team~20ml/email/0")
            with pytest.raises(smtplib.SMTPDataError, match="not the address of an integration"):
                await asyncio.to_thread(send, "localhost")

    with MessageRecorder(path) as messages:
        asyncio.run(talk(messages))
    (found,) = lines(path)
    assert (found["receiver"], found["integration"]) == ("team ml", "email")
    assert found["text"].split() == ["It", "fires", "HighErrorRate"]


def test_mails_need_a_file_for_what_they_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that would do nothing is refused."""
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "out"), "--smtp-port", "2525"])
    assert ended.value.code == 2
    assert "give --messages, too" in capsys.readouterr().err
