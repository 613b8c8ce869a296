"""What came back for a request."""

from __future__ import annotations

import errno
import socket

import pytest
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import RetriesExceeded
from testbed_load.replies import Reply, answered, error_kind, failed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("timed out"), "timeout"),
        (RetriesExceeded("http://x", 0, original=TimeoutError("timed out")), "timeout"),
        (OSError(errno.ETIMEDOUT, "timed out"), "timeout"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "reset"),
        (RetriesExceeded("http://x", 0, original=BrokenPipeError(errno.EPIPE, "")), "reset"),
        (HTTPConnectionClosed("connection closed."), "reset"),
        (HTTPParseError("closed before end of the headers"), "reset"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "connection"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "connection"),
        (None, "connection"),
    ],
)
def test_every_failure_has_a_kind(error: BaseException | None, kind: str) -> None:
    """Not in time, closed without an answer, or not reached."""
    assert error_kind(error) == kind


def test_a_prediction_is_read() -> None:
    """Id, class and probability come from the answer; more fields do no harm."""
    content = b'{"prediction_id": "p", "prediction": 1, "probability": 0.75, "model_version": "m"}'
    assert answered(200, content) == Reply(200, None, "p", 1, 0.75)


@pytest.mark.parametrize("status", [302, 404, 422, 500, 503])
def test_an_error_answer_is_its_status(status: int) -> None:
    """An error is an answer too, whatever its body holds."""
    assert answered(status, b"{not json") == Reply(status, reason="{not json")


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b'{"prediction_id": 1}', b"\xff", b"[" * 99_999]
)
def test_a_good_status_without_a_prediction_is_a_problem(content: bytes) -> None:
    """The status stays, and the problem says why it counts as failed."""
    reply = answered(200, content)
    assert reply.status == 200
    assert reply.prediction_id is None
    assert reply.problem is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b'{"type": "about:blank", "title": "Unprocessable", "detail": "BMI is missing"}',
            "BMI is missing",
        ),
        (
            b'{"detail": [{"loc": ["body", "BMI"], "msg": "missing"}]}',
            '[{"loc": ["body", "BMI"], "msg": "missing"}]',
        ),
        (b'{"error": "no model"}', "no model"),
        (b'{"code": 7}', '{"code": 7}'),
        (b"Bad\n  Gateway", "Bad Gateway"),
        (b"\xff" * 500, "\ufffd" * 200 + " …"),
        (b" ", None),
        (b"postgresql://u:secret@db/x", "postgresql://u:***@db/x"),
    ],
)
def test_reason_of_a_refusal_is_the_services_own(content: bytes, reason: str | None) -> None:
    """One line, whatever form it has; nothing of it can be a password."""
    assert answered(500, content).reason == reason


def test_reason_of_a_failure_is_the_networks_own() -> None:
    """As the system says it."""
    refused = ConnectionRefusedError(111, "Connection refused")
    assert failed(refused).reason == "[Errno 111] Connection refused"
