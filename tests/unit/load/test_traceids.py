"""The trace that a request is sent in."""

from __future__ import annotations

import random

import pytest
from testbed_load.traceids import request_context
from testbed_otel.tracing import HeadSampler


def test_equal_runs_send_equal_traces_and_others_none_of_them() -> None:
    """A trace is found again by run, seed and number."""
    one = [request_context("run", 1, seq, 0.5) for seq in range(100)]
    assert one == [request_context("run", 1, seq, 0.5) for seq in range(100)]
    others = [request_context(*which, 0.5) for which in (("run", 2, 0), ("other", 1, 0))]
    ids = {each.trace_id for each in (*one, *others)}
    assert len(ids) == 102
    assert {len(each) for each in ids} == {32}


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.3, 1.0])
def test_the_api_samples_what_the_flag_says_and_what_it_would_have_itself(ratio: float) -> None:
    """As without a parent: by the same bits of the id, against the same bound."""
    sampler = HeadSampler(ratio)
    found = [request_context("run", 1, seq, ratio) for seq in range(5000)]
    for context in found[:500]:
        chosen = sampler.choose([(b"traceparent", context.traceparent.encode())])
        assert f"{chosen.trace_id:032x}" == context.trace_id
        assert chosen.sampled == context.sampled
        own = HeadSampler(ratio, _Bits(int(context.trace_id, 16))).choose([])
        assert own.sampled == context.sampled
    assert sum(each.sampled for each in found) / 5000 == pytest.approx(ratio, abs=0.035)


class _Bits(random.Random):
    """Draws one number, whatever is asked."""

    def __init__(self, value: int) -> None:
        super().__init__(0)
        self._value = value

    def getrandbits(self, _k: int, /) -> int:
        """The number."""
        return self._value
