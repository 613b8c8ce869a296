"""What a second replica brings: throughput of two against one, and whether their counts add up.

Run it with ``pytest tests/bench/test_replicas.py --benchmark-enable``. One client process, the same
for both, shares two cores with the servers; nothing is pinned. Both services run at once and take
turns. What else the machine does takes more from two replicas than from one, which leaves a core
free; so a round that others disturbed is played again.
"""

from __future__ import annotations

import json
import os
import re
import statistics
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from .load import prediction_request, rate, spread
from .machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact

PREDICTIONS: Final = 16_000
ROUNDS: Final = 7
MAX_ROUNDS: Final = 40
# Share of the two cores that others may have in a round that counts.
MAX_FOREIGN_RATIO: Final = 0.06
MIN_RATIO: Final = 1.7


@pytest.fixture
def two_cores() -> Iterator[None]:
    """This process, and all that it starts, keep to the same two cores."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("needs two cores, for one replica each")
    os.sched_setaffinity(0, sorted(allowed)[:2])
    yield
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def start_services(
    artefact: Artefact,
    two_cores: None,
    collector: str,
    start_api: Callable[..., Any],
    tmp_path: Path,
) -> Callable[[str], dict[int, Any]]:
    """Starts one replica, and beside it two; full telemetry, pushed each second."""
    del two_cores

    def start(log_url: str) -> dict[int, Any]:
        return {
            count: start_api(
                artefact.path,
                log_url=log_url.format(count),
                otlp=collector,
                replicas=count,
                environment={
                    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
                    "OTEL_TRACES_SAMPLER_ARG": "0.01",
                    "TESTBED_API_ACCESS_LOG": str(tmp_path / f"access-{count}.jsonl"),
                },
            )
            for count in (1, 2)
        }

    return start


def _counted(api: Any) -> list[int]:  # noqa: ANN401 - made by a fixture
    """Predictions that each replica counts on its own ``/metrics``."""
    found = []
    for port in api.management_ports:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        values = re.findall(r"^ml_predictions_total\{.*\} ([0-9.e+]+)$", page, re.MULTILINE)
        found.append(round(sum(map(float, values))))
    return found


def _measure(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    services: dict[int, Any],
    request: bytes,
) -> dict[str, Any]:
    machine, sent = Machine(), 0
    rounds: list[tuple[float, float, float]] = []

    def one_round() -> None:
        nonlocal sent
        machine.foreign_ratio()
        # In turns, so that neither always comes first.
        order = (1, 2) if len(rounds) % 2 else (2, 1)
        rates = {count: rate(services[count].port, request, PREDICTIONS) for count in order}
        sent += PREDICTIONS
        rounds.append((machine.foreign_ratio(), rates[1], rates[2]))

    benchmark.pedantic(one_round, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    del rounds[0]  # the first one warms up
    while len(_quiet(rounds)) < ROUNDS and len(rounds) < MAX_ROUNDS:
        one_round()
    assert sum(_counted(services[1])) == sent
    assert sum(_counted(services[2])) == sent, "the replicas' counts don't add up"
    quiet = _quiet(rounds)
    report = {
        "rounds": len(rounds),
        "quiet_rounds": len(quiet),
        "ratio_of_all_rounds": spread(two / one for _, one, two in rounds),
        "split": _counted(services[2]),
    }
    if quiet:
        report |= {
            "ratio": spread(two / one for _, one, two in quiet),
            "one_per_second": round(statistics.median(one for _, one, _ in quiet)),
            "two_per_second": round(statistics.median(two for _, _, two in quiet)),
        }
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
    benchmark.extra_info |= report
    return report


def _quiet(rounds: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    return [found for found in rounds if found[0] <= MAX_FOREIGN_RATIO]


def test_two_replicas_against_one(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    start_services: Callable[[str], dict[int, Any]],
) -> None:
    """At least 1.7 times the throughput, and not one prediction uncounted or counted twice."""
    services = start_services("none")
    report = _measure(benchmark, services, prediction_request(artefact))
    assert report["quiet_rounds"] == ROUNDS, "others use this machine too much to say"
    assert report["ratio"]["median"] >= MIN_RATIO


def test_two_replicas_against_one_with_a_shared_log(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    start_services: Callable[[str], dict[int, Any]],
    tmp_path: Path,
) -> None:
    """Reports the same with every row durable in one SQLite file before its reply.

    SQLite takes one writer at a time and each commit waits for the disk (``synchronous=FULL``), so
    the file is the limit and no ratio is asked for.
    """
    services = start_services(f"sqlite:///{tmp_path}/log-{{}}.db")
    _measure(benchmark, services, prediction_request(artefact))
