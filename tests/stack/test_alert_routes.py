"""The way of an alert behind Prometheus: a real Alertmanager, receiver and SMTP server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from testbed.layout import RunLayout
from testbed.stack import build
from testbed.stack.arguments import alertmanager_argv
from testbed.stack.configuration import NativeConfiguration, SmtpSettings, render_native

from tests.support.jsonlines import whole_lines
from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.processes import running

FACTOR = 300.0  # group wait 100 ms, group interval 1 s


@dataclass(frozen=True)
class Routes:
    """A running Alertmanager with all that it notifies."""

    tools: build.Tools
    layout: RunLayout
    endpoints: dict[str, str]
    configuration: NativeConfiguration
    mails: list[EmailMessage]
    factor: float = FACTOR

    def report(self, labels: dict[str, str], ends_at: datetime) -> None:
        """Post an alert to Alertmanager, as Prometheus does."""
        alert = {
            "labels": labels,
            "annotations": {
                "summary": "It fires.",
                "description": "The value is 5.",
                "runbook_url": f"docs/runbooks/{labels['alertname']}.md",
            },
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": ends_at.isoformat(),
        }
        url = f"http://{self.endpoints['alertmanager:9093']}/api/v2/alerts"
        httpx.post(url, json=[alert], timeout=30).raise_for_status()

    def recorded(self, status: str) -> list[dict[str, Any]]:
        """Notifications of that status in the receiver's file."""
        lines = whole_lines(self.layout.notifications)
        return [line for line in lines if line["status"] == status]

    def mailed(self, status: str) -> list[EmailMessage]:
        """Mails of that status."""
        return [mail for mail in self.mails if f"[{status.upper()}]" in mail["subject"]]


class Mailbox:
    """Keeps what the SMTP server takes."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@pytest.fixture
def start(tmp_path: Path, repository: Path, tools: None) -> Callable[[], Any]:  # noqa: ARG001 - compiled
    """Starts receiver, SMTP server and Alertmanager."""

    @contextmanager
    def routes() -> Iterator[Routes]:
        layout = RunLayout(tmp_path / "run").create()
        addresses = ("receiver:9080", "alertmanager:9093")
        endpoints = {address: f"127.0.0.1:{free_port()}" for address in addresses}
        mailbox, smtp_port = Mailbox(), free_port()
        smtp = SmtpSettings(
            f"127.0.0.1:{smtp_port}", "alerts@example.com", "oncall@example.com", tls=False
        )
        configuration = render_native(
            layout, source=repository, endpoints=endpoints, factor=FACTOR, smtp=smtp
        )
        found = Routes(build.find(), layout, endpoints, configuration, mailbox.mails)
        host, _, port = endpoints["receiver:9080"].rpartition(":")
        receiver = [
            *(sys.executable, "-m", "testbed_receiver", "--host", host, "--port", port),
            *("--out", str(layout.notifications)),
        ]
        server = Controller(mailbox, hostname="127.0.0.1", port=smtp_port)
        server.start()
        receiver_url = f"http://{endpoints['receiver:9080']}/health/ready"
        ready_url = f"http://{endpoints['alertmanager:9093']}/-/ready"
        try:
            with (
                running(receiver, layout.logs / "receiver.log", receiver_url),
                running(alertmanager_argv(found), layout.logs / "alertmanager.log", ready_url),
            ):
                yield found
        finally:
            server.stop()

    return routes


@pytest.mark.parametrize(("alert", "severity"), [("APIDown", "critical"), ("DataDrift", "warning")])
def test_an_alert_reaches_receiver_and_mailbox_and_resolves(
    start: Callable[[], Any], alert: str, severity: str
) -> None:
    """Firing and resolved are each recorded once and mailed once, by the route of the severity."""
    labels = {"alertname": alert, "severity": severity, "instance": "api-1"}
    with start() as routes:
        begun = datetime.now(UTC)
        routes.report(labels, begun + timedelta(hours=1))
        wait_for(lambda: bool(routes.recorded("firing")), 20, "no firing notification")
        wait_for(lambda: bool(routes.mailed("firing")), 20, "no firing mail")
        routes.report(labels, datetime.now(UTC))
        wait_for(lambda: bool(routes.recorded("resolved")), 20, "no resolved notification")
        wait_for(lambda: bool(routes.mailed("resolved")), 20, "no resolved mail")
        (firing,), (resolved,) = routes.recorded("firing"), routes.recorded("resolved")
        (mail,), (last,) = routes.mailed("firing"), routes.mailed("resolved")
    assert firing["alertname"] == alert
    assert firing["receiver"] == severity
    assert firing["labels"] == labels
    assert begun.timestamp() <= firing["received_at"] <= resolved["received_at"]
    assert (firing["ends_at"], resolved["fingerprint"]) == (None, firing["fingerprint"])
    assert resolved["ends_at"] >= begun.timestamp()
    assert mail["to"] == "oncall@example.com"
    assert mail["subject"] == f"[FIRING] {alert} ({severity})"
    text = mail.get_body(("plain",))
    assert text is not None
    for part in ("It fires.", "The value is 5.", f"docs/runbooks/{alert}.md", "2026-01-01"):
        assert part in text.get_content()
    ended = last.get_body(("plain",))
    assert ended is not None
    assert "Ended:" in ended.get_content()


def test_a_heartbeat_is_repeated_without_end_and_without_mail(start: Callable[[], Any]) -> None:
    """Its receiver gets the same again and again, as often as its route says."""
    labels = {"alertname": "Watchdog", "severity": "none"}
    with start() as routes:
        routes.report(labels, datetime.now(UTC) + timedelta(hours=1))
        wait_for(lambda: len(routes.recorded("firing")) > 2, 30, "the heartbeat is not repeated")
        assert {line["receiver"] for line in routes.recorded("firing")} == {"heartbeat"}
        assert routes.mailed("firing") == []


def test_a_segment_is_silent_while_another_version_drifts_as_a_whole(
    start: Callable[[], Any],
) -> None:
    """The same job's segments wait until the whole is over; those of another job fire."""
    hour = timedelta(hours=1)
    whole = {"alertname": "DataDrift", "severity": "warning", "job": "drift-job"}
    first = whole | {"instance": "drift-1", "model_version": "1"}
    part = whole | {"alertname": "SegmentDrift", "model_version": "2", "segment": "shop=a"}
    with start() as routes:
        routes.report(first, datetime.now(UTC) + hour)
        wait_for(lambda: bool(routes.recorded("firing")), 20, "the whole does not fire")
        for instance in ("drift-1", "drift-2"):
            routes.report(part | {"instance": instance}, datetime.now(UTC) + hour)
        wait_for(lambda: len(routes.recorded("firing")) > 1, 20, "no segment fires")
        assert {line["labels"]["instance"] for line in segments(routes)} == {"drift-2"}
        routes.report(first, datetime.now(UTC))
        wait_for(
            lambda: any(line["labels"]["instance"] == "drift-1" for line in segments(routes)),
            20,
            "the segment does not fire once the whole is over",
        )


def segments(routes: Routes) -> list[dict[str, Any]]:
    """Firing notifications of segments."""
    return [line for line in routes.recorded("firing") if line["alertname"] == "SegmentDrift"]
