"""What came back for a request: the service's answer, or the kind of failure."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from testbed_domain.features import Label

    from testbed_load.truth import ErrorKind

_OK: Final = range(200, 300)
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
    """

    status: int | None = None
    error: ErrorKind | None = None
    prediction_id: str | None = None
    prediction: Label | None = None
    probability: float | None = None
    problem: str | None = None


# A request that is still open when the load gives up waiting for it.
GIVEN_UP: Final = Reply(error="timeout")


def failed(error: BaseException | None) -> Reply:
    """The reply to a request that got no answer."""
    return Reply(error=error_kind(error))


def succeeded(status: int) -> bool:
    """Whether the service says that it did what it was asked for."""
    return status in _OK


def answered(status: int, content: bytes) -> Reply:
    """The reply in an HTTP answer with that body."""
    if not succeeded(status):
        return Reply(status)
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
