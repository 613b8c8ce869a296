"""What stands before the receiver: limits of a POST, its secret, and where a request comes from."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.callerguard import CallerGuard, refuse
from testbed_domain.callers import READING, Refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    from testbed_domain.callerguard import Application, Message, Receive, Send

BODY_LIMIT: Final = 16 << 20  # what the Collector sends at once is far below
BODY_SECONDS: Final = 10.0
HELD_LIMIT: Final = 4 * BODY_LIMIT
"""Bytes of all bodies that are coming in at a time."""
NAMES_OPTION: Final = "--names"
UNAUTHORIZED, TIMEOUT, TOO_LARGE, BUSY = 401, 408, 413, 503
# The page has a style and no script.
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
CLOSE: Final = ((b"connection", b"close"),)


@dataclass(frozen=True, slots=True)
class PostLimits:
    """What a POST may ask for.

    Attributes:
        size: most bytes of a body.
        seconds: in which all of it must have come.
        secret: what ``Authorization: Bearer`` must hold; None asks for none.
    """

    size: int = BODY_LIMIT
    seconds: float = BODY_SECONDS
    secret: str | None = None


def guarded(app: Application, limits: PostLimits, names: Collection[str]) -> Application:
    """The receiver as it is served.

    Args:
        app: the receiver.
        limits: of a POST.
        names: host names by which it may be asked; see :mod:`testbed_domain.callers`.
    """
    return CallerGuard(PostGuard(app, limits), names, NAMES_OPTION, HEADERS)


class PostGuard:
    """Gives an application only whole bodies within the limits.

    Args:
        app: the receiver.
        limits: of a POST.
    """

    def __init__(self, app: Application, limits: PostLimits) -> None:
        self._app = app
        self._limits = limits
        self._held = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or scope["method"] in READING:
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._limits.secret is not None and not _presents(headers, self._limits.secret):
            detail = "A POST needs the header 'Authorization: Bearer SECRET' with the secret."
            challenge = ((b"www-authenticate", b"Bearer"), *CLOSE)
            await refuse(send, Refusal(UNAUTHORIZED, detail), challenge)
            return
        body = await self._read(headers, receive)
        if isinstance(body, Refusal):
            await refuse(send, body, CLOSE)
        elif body is not None:
            await self._app(scope, _once(body, receive), send)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | Refusal | None:
        """The body; why it is refused; None where the client has gone."""
        limits = self._limits
        large = Refusal(TOO_LARGE, f"The body has more than {limits.size} bytes.")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limits.size:
            return large
        parts, size = [], 0
        try:
            async with asyncio.timeout(limits.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    self._held += len(parts[-1])
                    if size > limits.size:
                        return large
                    if self._held > HELD_LIMIT:
                        return Refusal(BUSY, "Too many large bodies come in at once; try again.")
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            return Refusal(TIMEOUT, f"The body did not come within {limits.seconds:g} s.")
        finally:
            self._held -= size


def _once(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what comes after it."""
    waiting: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return waiting.pop() if waiting else await receive()

    return given


def _presents(headers: dict[bytes, bytes], secret: str) -> bool:
    scheme, _, presented = headers.get(b"authorization", b"").partition(b" ")
    right = hmac.compare_digest(presented.strip(), secret.encode())
    return scheme.lower() == b"bearer" and right
