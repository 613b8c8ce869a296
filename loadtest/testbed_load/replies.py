"""What came back for a request: the service's answer, or the kind of failure."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed_otel.masking import mask

if TYPE_CHECKING:
    from testbed_domain.features import Label

    from testbed_load.truth import ErrorKind

_OK: Final = range(200, 300)
_REASONS: Final = ("detail", "message", "error", "title", "reason")
_READ: Final = 10_000
_SHOWN: Final = 200
_RESET: Final = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of one request.

    Attributes:
        status: HTTP status, or None where no answer came.
        error: why no answer came, or None.
        prediction_id: id of the prediction.
        prediction: predicted class or number.
        probability: of the class; None of a number.
        problem: why a 2xx answer is no prediction, or None.
        reason: what the service, or the network, says of its failure; None where it says nothing.
    """

    status: int | None = None
    error: ErrorKind | None = None
    prediction_id: str | None = None
    prediction: Label | None = None
    probability: float | None = None
    problem: str | None = None
    reason: str | None = None


# A request that is still open when the load gives up waiting for it.
GIVEN_UP: Final = Reply(error="timeout")


def failed(error: BaseException | None) -> Reply:
    """The reply to a request that got no answer."""
    original = getattr(error, "original", None) or error
    return Reply(error=error_kind(error), reason=None if original is None else _line(str(original)))


def succeeded(status: int) -> bool:
    """Whether the service says that it did what it was asked for."""
    return status in _OK


def answered(status: int, content: bytes) -> Reply:
    """The reply in an HTTP answer with that body."""
    if not succeeded(status):
        return refused(status, content)
    try:
        body = json.loads(content)
        probability = body.get("probability")
        return Reply(
            status,
            prediction_id=str(body["prediction_id"]),
            prediction=body["prediction"],
            probability=None if probability is None else float(probability),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        return Reply(status, problem=f"the answer is not a prediction: {error!r}")


def refused(status: int, content: bytes) -> Reply:
    """The reply to a request that got an answer, and not what it asked for."""
    return Reply(status, reason=said(content))


def said(content: bytes) -> str | None:
    """The reason in the body of an error: of a problem (RFC 9457), of usual keys, or its text."""
    text = content[:_READ].decode(errors="replace")
    try:
        body = json.loads(text)
    except ValueError:
        return _line(text)
    if isinstance(body, dict):
        found = next((body[key] for key in _REASONS if body.get(key)), None)
        body = body if found is None else found
    return _line(body if isinstance(body, str) else json.dumps(body))


def _line(text: str) -> str | None:
    """One line of a text, without secrets; None where it is blank."""
    line = " ".join(mask(text).split())
    return (line if len(line) <= _SHOWN else f"{line[:_SHOWN]} …") or None


def error_kind(error: BaseException | None) -> ErrorKind:
    """Which kind of failure the client's exception is.

    ``timeout``: no answer in time; ``reset``: the service took the request, or its connection,
    and closed without an answer; ``connection``: it could not be reached.
    """
    from geventhttpclient.response import (  # noqa: PLC0415 - only Locust's process has its client
        HTTPConnectionClosed,
        HTTPParseError,
    )

    error = getattr(error, "original", None) or error  # the client wraps a timeout
    if isinstance(error, TimeoutError) or _number(error) == errno.ETIMEDOUT:
        return "timeout"
    if isinstance(error, (*_RESET, HTTPConnectionClosed, HTTPParseError)):
        return "reset"
    return "connection"


def _number(error: BaseException | None) -> int | None:
    return error.errno if isinstance(error, OSError) else None
