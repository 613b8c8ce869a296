"""What a caller asks for in headers: its version, its timeout; and whether it is still there."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from testbed_api.answers import ApiError
from testbed_api.connections import WHEN_LOST
from testbed_api.serving import RequestOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_api.requestlike import RequestLike

ROUTING_KEY: Final = "x-routing-key"
TIMEOUT_HEADER: Final = "X-Timeout-Ms"
TIMEOUT_KEY: Final = TIMEOUT_HEADER.lower()
LONGEST: Final = 3_600_000


def request_options(request: RequestLike) -> RequestOptions:
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


def _watch(request: RequestLike, left: Callable[[], None]) -> Callable[[], object]:
    """Call ``left`` when the client closes the connection; what is returned ends the watch."""
    tasks: list[asyncio.Task[None]] = []

    def receive() -> None:
        task = asyncio.ensure_future(_left(request))
        task.add_done_callback(lambda _: left())
        tasks.append(task)

    when_lost = request.scope.get("extensions", {}).get(WHEN_LOST)
    if when_lost is None:  # another server than ours: a task for each request, 20 µs
        receive()
        return tasks[0].cancel
    # The message is received even so, by which all layers between learn of it.
    when_lost(receive)
    return partial(when_lost, None)


async def _left(request: RequestLike) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
