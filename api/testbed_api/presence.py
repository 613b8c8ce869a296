"""Whether the client of a request is still connected, as our server tells applications.

ASGI tells it by a message, which only one of the layers can wait for, in a task of its own: some
20 µs per request. :data:`PRESENCE` is the name of the extension of ASGI that saves it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PRESENCE: Final = "testbed.presence"


class ClientPresence:
    """The client of one request.

    Attributes:
        gone: whether it has closed the connection.
    """

    __slots__ = ("_callback", "gone")

    def __init__(self) -> None:
        self.gone = False
        self._callback: Callable[[], object] | None = None

    def when_gone(self, callback: Callable[[], object] | None) -> None:
        """Call back when the client leaves, soon where it has left already; None: don't."""
        self._callback = callback
        if self.gone:
            asyncio.get_running_loop().call_soon(self.leave)

    def leave(self) -> None:
        """Take note that the client has left; for the server."""
        self.gone = True
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


def presence(scope: Mapping[str, Any]) -> ClientPresence | None:
    """That of a request's client; None where another server than ours serves it."""
    found: ClientPresence | None = scope.get("extensions", {}).get(PRESENCE)
    return found
