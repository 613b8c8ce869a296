"""What came back for a request."""

from __future__ import annotations

import errno
import socket

import pytest
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import RetriesExceeded
from testbed_load.replies import Reply, answered, error_kind


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
    assert answered(status, b"{not json") == Reply(status)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b'{"prediction_id": 1}', b"\xff", b"[" * 99_999]
)
def test_a_good_status_without_a_prediction_is_a_problem(content: bytes) -> None:
    """The status stays, and the problem says why it counts as failed."""
    reply = answered(200, content)
    assert reply.status == 200
    assert reply.prediction_id is None
    assert reply.problem is not None
