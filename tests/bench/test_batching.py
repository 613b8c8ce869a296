"""What batching brings a scikit-learn forest, and what it costs a request that is alone.

Run it with ``pytest tests/bench/test_batching.py --benchmark-enable``. Both services run at once,
on one core, and take turns; so what disturbs the machine disturbs both.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import statistics
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact

CONNECTIONS = 32
ROUNDS = 5
BATCHED, SINGLE = 1_600, 192  # requests of a round; each round takes about as long
ALONE = 120
LEAST_RATIO = 8.0
MOST_EXTRA_SECONDS = 0.0005


@pytest.fixture
def cores() -> Iterator[list[int]]:
    """Two cores; the test itself keeps to the second."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("needs two cores, one for the API and one for its clients")
    pair = sorted(allowed)[:2]
    os.sched_setaffinity(0, pair[1:])
    yield pair
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def artefact(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    tmp_path: Path,
) -> Artefact:
    """A forest of 100 trees of depth 10, with its scikit-learn model."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    if importlib.util.find_spec("skops") is None:
        pytest.skip("skops is an extra and not installed")
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(skops=True)
    return train(get_use_case("diabetes"), None, 1, tmp_path / "model", options)


@pytest.fixture
def services(artefact: Artefact, cores: list[int], start_api: Callable[..., Any]) -> dict[str, Any]:
    """The same model twice: with batching, and without."""
    return {
        batching: start_api(
            artefact.path,
            core=cores[0],
            environment={
                "TESTBED_API_RUNTIME": "scikit-learn",
                "TESTBED_API_BATCHING": batching,
            },
        )
        for batching in ("auto", "never")
    }


class _Client:
    """One connection that sends one request after the other."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def send(self) -> float:
        """Seconds until the answer, which must be 200."""
        started = time.perf_counter()
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length))
        assert head.startswith(b"HTTP/1.1 200"), head
        return time.perf_counter() - started


def _rate(port: int, request: bytes, count: int) -> float:
    """Requests per second over all connections."""

    async def one() -> None:
        async with _Client(port, request) as client:
            for _ in range(count // CONNECTIONS):
                await client.send()

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(CONNECTIONS)))

    started = time.perf_counter()
    asyncio.run(all_of_them())
    return count / (time.perf_counter() - started)


async def _alone(batched: int, single: int, request: bytes) -> tuple[float, float]:
    """Median seconds of a request that is alone, and how many more batching makes of them."""
    pairs = []
    async with _Client(batched, request) as ours, _Client(single, request) as theirs:
        for turn in range(ALONE):
            # In turns, so that neither always comes first.
            first, second = (ours, theirs) if turn % 2 else (theirs, ours)
            times = {first: await first.send(), second: await second.send()}
            pairs.append((times[ours], times[theirs]))
    extra = statistics.median(mine - other for mine, other in pairs)
    return statistics.median(other for _, other in pairs), extra


def test_batching_pays_under_load_and_costs_nothing_alone(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    services: dict[str, Any],
) -> None:
    """At 32 connections at least 8 times the throughput; alone at most 0.5 ms more."""
    row = {feature.name: feature.example for feature in artefact.schema.features}
    body = json.dumps(row).encode()
    request = (
        b"POST /predict HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body
    batched, single = services["auto"].port, services["never"].port
    rates: list[tuple[float, float]] = []
    alone: list[tuple[float, float]] = []

    def play() -> None:
        rates.append((_rate(batched, request, BATCHED), _rate(single, request, SINGLE)))
        alone.append(asyncio.run(_alone(batched, single, request)))

    benchmark.pedantic(play, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    ratios = sorted(ours / theirs for ours, theirs in rates)
    extra = sorted(more for _, more in alone)
    benchmark.extra_info |= {
        "ratio": {"median": statistics.median(ratios), "worst": ratios[0], "best": ratios[-1]},
        "requests_per_second": {
            "batched": statistics.median(ours for ours, _ in rates),
            "one_by_one": statistics.median(theirs for _, theirs in rates),
        },
        "alone_extra_ms": {"median": statistics.median(extra) * 1e3, "worst": extra[-1] * 1e3},
        "alone_ms": statistics.median(seconds for seconds, _ in alone) * 1e3,
    }
    assert statistics.median(ratios) >= LEAST_RATIO
    assert statistics.median(extra) <= MOST_EXTRA_SECONDS
