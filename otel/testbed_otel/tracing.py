"""Whether a request is traced, decided before anything is paid for it.

The decision follows W3C Trace Context: a parent's flag is taken over; without a parent a share of
the trace ids is kept, by the SDK's rule (the ids' low 64 bits). Every request has ids, so that logs
and replies name its trace, and so that a span may still be made when the request turns out to
matter: an error, or slowness.
"""

from __future__ import annotations

import random
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from testbed_otel.children import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable

LOW_BITS: Final = (1 << 64) - 1
TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"

_propagator: Final = TraceContextTextMapPropagator()


@dataclass(slots=True, eq=False)
class RequestTrace:
    """The trace of one request.

    Attributes:
        trace_id: 128 bits; the parent's where there is one.
        span_id: 64 bits, of the request's own span.
        sampled: whether spans are recorded while the request is served.
        parent: the caller's context.
        used: whether a span has taken ``span_id``.
    """

    trace_id: int
    span_id: int
    sampled: bool
    parent: Context = field(default_factory=Context)
    used: bool = False


_current: ContextVar[RequestTrace | None] = ContextVar("request_trace", default=None)
set_current: Final = _current.set
reset_current: Final = _current.reset


def current_request() -> RequestTrace | None:
    """The trace of the request that is being served here, sampled or not."""
    return _current.get()


def current_trace() -> Trace | None:
    """The sampled trace of the request that is being served here; for exemplars."""
    request = _current.get()
    if request is None or not request.sampled:
        return None
    return Trace(request.trace_id, request.span_id)


class HeadSampler:
    """Decides which requests are sampled.

    Args:
        ratio: share of the requests without a parent, 0 to 1.
        source: random bits; system-seeded by default.
        parent_based: whether a parent's decision is taken over; else the ratio holds for all.
        propagated: whether a caller's context is continued at all.
    """

    def __init__(
        self,
        ratio: float,
        source: random.Random | None = None,
        *,
        parent_based: bool = True,
        propagated: bool = True,
    ) -> None:
        self._parent_based = parent_based
        self._propagated = propagated
        self._bound = TraceIdRatioBased.get_bound_for_rate(ratio)
        # As the SDK's own generator does: ids have to be unlike, not secret.
        self._bits = (source or random.Random()).getrandbits  # noqa: S311 - see above

    def choose(self, headers: Iterable[tuple[bytes, bytes]]) -> RequestTrace:
        """The trace for a request with these headers, their names in lower case."""
        for name, _ in headers:
            if name == TRACEPARENT and self._propagated:
                return self._continue(headers)
        return self._root()

    def _root(self) -> RequestTrace:
        trace_id = self._bits(128) or 1
        sampled = trace_id & LOW_BITS < self._bound
        return RequestTrace(trace_id, self._bits(64) or 1, sampled)

    def _continue(self, headers: Iterable[tuple[bytes, bytes]]) -> RequestTrace:
        carrier = {
            name.decode("latin-1"): [value.decode("latin-1")]
            for name, value in headers
            if name in {TRACEPARENT, TRACESTATE}
        }
        parent = _propagator.extract(carrier, Context())
        context = trace.get_current_span(parent).get_span_context()
        if not context.is_valid:
            return self._root()
        # Without a bound traces go nowhere, whatever the caller does with its own.
        if self._parent_based:
            sampled = context.trace_flags.sampled and self._bound > 0
        else:
            sampled = context.trace_id & LOW_BITS < self._bound
        return RequestTrace(context.trace_id, self._bits(64) or 1, sampled, parent)


class RequestIds(RandomIdGenerator):
    """Gives the first span of a request the request's own ids, and others random ones."""

    def generate_trace_id(self) -> int:
        """See the base class."""
        request = _current.get()
        if request is None or request.used:
            return int(super().generate_trace_id())
        return request.trace_id

    def generate_span_id(self) -> int:
        """See the base class."""
        request = _current.get()
        if request is None or request.used:
            return int(super().generate_span_id())
        request.used = True
        return request.span_id


class UnsampledSpan(trace.NonRecordingSpan):
    """Stands for a request that isn't sampled: callees and logs find its ids in it.

    Its context is made only when somebody asks, which seldom happens.
    """

    def __init__(self, request: RequestTrace) -> None:
        # Without the base's: it would want the context now.
        self._request = request

    def get_span_context(self) -> trace.SpanContext:
        """Ids of the request, with the flag not set; the vendors' state is the caller's."""
        request = self._request
        state = trace.get_current_span(request.parent).get_span_context().trace_state
        return trace.SpanContext(
            request.trace_id, request.span_id, is_remote=False, trace_state=state
        )
