"""The trace of each request, drawn from the seed: a W3C ``traceparent`` that others can look up.

The flag says what the service would have drawn itself: OpenTelemetry's ``TraceIdRatioBased``
samples a trace whose low 64 bits lie below the ratio, and a sampler that follows its parent takes
over the flag. So a share of the traces is stored as before, and known beforehand. Pure.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

SERVER_ERROR: Final = 500
SLOW: Final = 1.0
"""Seconds from which the bundled API stores the trace of a request whatever was sampled."""
_LOW: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The trace context that a request is sent with.

    Attributes:
        trace_id: 32 hexadecimal digits.
        parent_id: 16 of them; a span has it where the load sends its own
            (:mod:`testbed_load.telemetry`).
        sampled: whether the service is asked to store the trace.
    """

    trace_id: str
    parent_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """The header's value (W3C Trace Context, section 3.2)."""
        return f"00-{self.trace_id}-{self.parent_id}-{self.sampled:02x}"


def spanned(*, sampled: bool, status: int | None, seconds: float) -> bool:
    """Whether the load makes a span of a request that has a trace.

    It does where the service stores the trace, and where it would, had the request come to it.

    Args:
        sampled: whether the service was asked to store the trace.
        status: HTTP status; None where no answer came.
        seconds: from when it was sent to its end.
    """
    return sampled or status is None or status >= SERVER_ERROR or seconds >= SLOW


def request_context(run_id: str, seed: int, seq: int, ratio: float) -> RequestContext:
    """The context of one request: the same for the same run, seed and number.

    Args:
        run_id: two runs on one stack share no trace.
        seed: of the plan.
        seq: number of the request within it.
        ratio: share of the requests that are sampled.
    """
    source = random.Random(f"trace {run_id} {seed} {seq}")  # noqa: S311 - unlike, not secret
    trace_id, parent_id = source.getrandbits(128) or 1, source.getrandbits(64) or 1
    sampled = trace_id & _LOW < round(ratio * (_LOW + 1))
    return RequestContext(f"{trace_id:032x}", f"{parent_id:016x}", sampled)
