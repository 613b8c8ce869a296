"""What telemetry costs: throughput and processor time as ratios of the bare application's.

Run it with ``pytest tests/bench/test_telemetry_cost.py --benchmark-enable``; see
:mod:`.comparison`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import pytest

from tests.support.polling import answers, wait_for
from tests.support.ports import free_port

from .comparison import Variant, compare, full_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact

PREDICTIONS: Final = 4_800
ROUNDS: Final = int(os.environ.get("TESTBED_BENCH_ROUNDS", "7"))
# Least ratio of the bare throughput that must be left; SQLite writes with synchronous=FULL.
MIN: Final = {"full": 0.90, "full_and_log": 0.75}
PEERS: Final = ("bare", "instrumentator", "otel_metrics", "otel_traces")


@pytest.fixture
def peers(artefact: Artefact, cores: list[int], collector: str) -> Iterator[dict[str, Variant]]:
    """The bare application, and the same with widespread instrumentations."""
    script = Path(__file__).with_name("variants.py")
    environment = os.environ | {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
    started: dict[str, Variant] = {}
    processes = []
    for name in PEERS:
        port = free_port()
        command = [sys.executable, str(script), name, str(artefact.path), str(port), collector]
        process = subprocess.Popen(command, env=environment)
        os.sched_setaffinity(process.pid, cores[:1])
        processes.append(process)
        started[name] = Variant(port, psutil.Process(process.pid))
    for variant in started.values():
        wait_for(partial(answers, f"http://127.0.0.1:{variant.port}/health/ready"), 60)
    yield started
    for process in processes:
        process.kill()
        process.wait(10)


@pytest.fixture
def variants(
    artefact: Artefact,
    cores: list[int],
    collector: str,
    start_api: Callable[..., Any],
    peers: dict[str, Variant],
    tmp_path: Path,
) -> dict[str, Variant]:
    """Those, and the API: with telemetry off, full, and full with a durable prediction log."""
    full = full_telemetry(tmp_path / "access.jsonl")
    database = {"log_url": f"sqlite:///{tmp_path / 'log.db'}"}
    made = dict(peers)
    for name, environment, more in (
        ("off", {"OTEL_SDK_DISABLED": "true"}, {}),
        ("full", full, {"otlp": collector}),
        ("full_and_log", full, {"otlp": collector, **database}),
    ):
        api = start_api(artefact.path, core=cores[0], environment=environment, **more)
        made[name] = Variant(api.port, psutil.Process(api.process.pid))
    return made


def test_full_telemetry_against_the_bare_application(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    variants: dict[str, Variant],
) -> None:
    """Reports what metrics, 1 % traces and a JSON access log leave of the bare throughput."""
    report = compare(benchmark, artefact, variants, rounds=ROUNDS, predictions=PREDICTIONS)
    for name, minimum in MIN.items():
        assert report[name]["throughput"]["median"] >= minimum, report[name]
