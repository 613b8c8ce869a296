"""What a caller asks for in headers: its version, its timeout; and whether it is still there."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from testbed_api.errors import ApiError
from testbed_api.presence import presence
from testbed_api.serving.model import RequestOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request


ROUTING_KEY: Final = "x-routing-key"
TIMEOUT_HEADER: Final = "X-Timeout-Ms"
TIMEOUT_KEY: Final = TIMEOUT_HEADER.lower()
LONGEST: Final = 3_600_000


def request_options(request: Request) -> RequestOptions:
    """The wishes of a request whose body has been read.

    Raises:
        ApiError: 422, the timeout is no whole number of milliseconds from 1 to an hour.
    """
    headers = request.headers
    timeout = headers.get(TIMEOUT_KEY)
    return RequestOptions(
        key=headers.get(ROUTING_KEY),
        timeout=None if timeout is None else _seconds(timeout),
        gone=partial(_watch, request),
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


def _watch(request: Request, left: Callable[[], None]) -> Callable[[], object]:
    """Call ``left`` when the client closes the connection; what is returned ends the watch."""
    client = presence(request.scope)
    if client is None:  # another server than ours: a task for each request
        task = asyncio.ensure_future(_left(request))
        task.add_done_callback(lambda _: left())
        return task.cancel
    client.when_gone(left)
    return partial(client.when_gone, None)


async def _left(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
