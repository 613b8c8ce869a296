"""The guard before predictions and labels: API keys, their limits and their metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from fastapi import Request
from testbed_otel.names import API_KEY, OUTCOME

from testbed_api.answers import ApiError
from testbed_api.keys import UNKNOWN

if TYPE_CHECKING:
    from testbed_api.asked import Asked
    from testbed_api.instruments import Instruments
    from testbed_api.keys import KeyRing

KEY_HEADER: Final = "X-API-Key"
SCHEME: Final = "bearer"


class Guard:
    """A dependency of the routes that it protects.

    Args:
        ring: the keys.
        instruments: count requests by key.
    """

    def __init__(self, ring: KeyRing, instruments: Instruments) -> None:
        self._ring = ring
        self._instruments = instruments
        for name in ring.names:
            for outcome in ("accepted", "limited"):
                instruments.key_requests.add(0, {API_KEY: name, OUTCOME: outcome})
        instruments.key_requests.add(0, {API_KEY: UNKNOWN, OUTCOME: "refused"})

    async def __call__(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            ApiError: 401 without a key that is known, 429 beyond its limit.
        """
        decision = self._ring.decide(_presented(request))
        labels = {API_KEY: decision.name, OUTCOME: decision.verdict}
        self._instruments.key_requests.add(1, labels)
        if decision.verdict == "refused":
            raise ApiError(401, "other", f"send a known key in {KEY_HEADER}")
        if decision.verdict == "limited":
            wait = math.ceil(decision.retry_after)
            raise ApiError(429, "other", "too many requests with this key", wait)


def _presented(request: Asked) -> str | None:
    key = request.headers.get(KEY_HEADER.lower())
    if key is not None:
        return key
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == SCHEME else None
