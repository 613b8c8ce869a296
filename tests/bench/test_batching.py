"""What batching brings a scikit-learn forest, and what it costs a request that is alone.

Run it with ``pytest tests/bench/test_batching.py --benchmark-enable``. Both services run at once,
on one core, and take turns; so what disturbs the machine disturbs both.
"""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
from typing import TYPE_CHECKING, Any

import pytest

from .load import Client, prediction_request, rate, spread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact

ROUNDS = 5
BATCHED, SINGLE = 1_600, 192  # requests of a round; each round takes about as long
ALONE = 120
MIN_RATIO = 8.0
MAX_EXTRA_SECONDS = 0.0005


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


async def _alone(batched: int, single: int, request: bytes) -> tuple[float, float]:
    """Median seconds of a request that is alone, and how many more batching makes of them."""
    pairs = []
    async with Client(batched, request) as ours, Client(single, request) as theirs:
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
    request = prediction_request(artefact)
    batched, single = services["auto"].port, services["never"].port
    rates: list[tuple[float, float]] = []
    alone: list[tuple[float, float]] = []

    def play() -> None:
        rates.append((rate(batched, request, BATCHED), rate(single, request, SINGLE)))
        alone.append(asyncio.run(_alone(batched, single, request)))

    benchmark.pedantic(play, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    ratios = spread(ours / theirs for ours, theirs in rates)
    extra = sorted(more for _, more in alone)
    benchmark.extra_info |= {
        "ratio": ratios,
        "requests_per_second": {
            "batched": statistics.median(ours for ours, _ in rates),
            "one_by_one": statistics.median(theirs for _, theirs in rates),
        },
        "alone_extra_ms": {"median": statistics.median(extra) * 1e3, "worst": extra[-1] * 1e3},
        "alone_ms": statistics.median(seconds for seconds, _ in alone) * 1e3,
    }
    assert ratios["median"] >= MIN_RATIO
    assert statistics.median(extra) <= MAX_EXTRA_SECONDS
