"""What a caller asks for in headers: its version, its patience; and whether it is still there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from testbed_api.answers import ApiError
from testbed_api.serving import Call

if TYPE_CHECKING:
    from testbed_api.asked import Asked

ROUTING_KEY: Final = "x-routing-key"
TIMEOUT_HEADER: Final = "X-Timeout-Ms"
TIMEOUT_KEY: Final = TIMEOUT_HEADER.lower()
LONGEST: Final = 3_600_000


def call_of(request: Asked) -> Call:
    """The wishes of a request whose body has been read.

    Raises:
        ApiError: 422, the timeout is no whole number of milliseconds from 1 to an hour.
    """
    headers = request.headers
    timeout = headers.get(TIMEOUT_KEY)
    return Call(
        key=headers.get(ROUTING_KEY),
        patience=None if timeout is None else _seconds(timeout),
        gone=partial(_left, request),
    )


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LONGEST))):
        raise _refused()
    milliseconds = int(text)
    if not 0 < milliseconds <= LONGEST:
        raise _refused()
    return milliseconds / 1000


def _refused() -> ApiError:
    message = f"a whole number of milliseconds from 1 to {LONGEST}"
    detail = [{"loc": ["header", TIMEOUT_HEADER], "msg": message, "type": "value_error"}]
    return ApiError(422, "validation", detail)


async def _left(request: Asked) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
