"""The guard before predictions and labels: API keys, their limits and their metrics."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fastapi import Request
from testbed_otel.names import API_KEY, OUTCOME

from testbed_api.errors import ApiError
from testbed_api.http.keys import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_api.http.keys import Admission, KeyRing, TokenBucket
    from testbed_api.telemetry.instruments import Instruments

KEY_HEADER: Final = "X-API-Key"
SCHEME: Final = "bearer"
# Where a request's scope holds what its key allows.
ALLOWANCE: Final = "testbed.allowance"


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
        """Let a request pass that takes one prediction's time.

        Raises:
            ApiError: 401 without a key that is known, 429 beyond its limit.
        """
        self._count(self._decide(request))

    async def rows(self, request: Request) -> None:
        """Let a request for several predictions pass; see :func:`allowance`.

        Raises:
            ApiError: as above.
        """
        decision = self._decide(request)
        request.scope[ALLOWANCE] = Allowance(decision.bucket, self._ring.clock, decision, self)

    def _decide(self, request: Request) -> Admission:
        decision = self._ring.decide(_presented(request))
        if decision.verdict == "refused":
            self._count(decision)
            raise ApiError(401, "other", f"send a known key in {KEY_HEADER}")
        if decision.verdict == "limited":
            self._count(decision)
            raise limited(decision.retry_after)
        return decision

    def _count(self, decision: Admission) -> None:
        self._instruments.key_requests.add(1, {API_KEY: decision.name, OUTCOME: decision.verdict})

    def done(self, decision: Admission, *, enough: bool) -> None:
        """Count a request whose predictions were all allowed, or weren't."""
        self._count(decision if enough else replace(decision, verdict="limited"))


class Allowance:
    """What a key still allows one request that asks for several predictions.

    A context; at its end the request is counted. The first prediction is taken already.

    Args:
        bucket: the key's limit; None limits nothing.
        clock: seconds of a clock that never goes back.
        decision: by which the request was let in.
        guard: counts.
    """

    def __init__(
        self,
        bucket: TokenBucket | None = None,
        clock: Callable[[], float] = time.monotonic,
        decision: Admission | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._decision = decision
        self._guard = guard
        self._enough = True

    def take(self, count: int) -> None:
        """Take further predictions, all or none.

        Raises:
            ApiError: 429, the key's limit is reached.
        """
        if self._bucket is None:
            return
        wait = self._bucket.take(self._clock(), count)
        if wait:
            self._enough = False
            raise limited(wait, self._bucket.burst)

    def take_rows(self, count: int) -> None:
        """Take the predictions of a whole batch, whose first is taken already.

        Raises:
            ApiError: 429; nothing is taken then, that first one is given back.
        """
        if self._bucket is None:
            return
        self._bucket.give(1)
        self.take(count)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        if self._guard is not None and self._decision is not None:
            self._guard.done(self._decision, enough=self._enough)


def allowance(request: Request) -> Allowance:
    """What the key of a request allows; everything where none is asked for."""
    found: Allowance | None = request.scope.get(ALLOWANCE)
    return Allowance() if found is None else found


def limited(wait: float, burst: float = math.inf) -> ApiError:
    """The answer to a caller that asks for too much."""
    if math.isinf(wait):
        return ApiError(
            429, "other", f"this key allows {burst:g} predictions at once; send fewer rows"
        )
    return ApiError(429, "other", "too many predictions with this key", math.ceil(wait))


def _presented(request: Request) -> str | None:
    key = request.headers.get(KEY_HEADER.lower())
    if key is not None:
        return key
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == SCHEME else None
