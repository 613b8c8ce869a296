"""What telemetry costs: throughput and processor time as shares of the bare application's.

Run it with ``pytest tests/bench/test_telemetry_cost.py --benchmark-enable``. All servers run on the
first core, one of them loaded at a time; the clients have the second. In each round every variant
is loaded once, in an order that rotates, and compared with the bare application of that round.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import psutil
import pytest

from tests.support.ports import free_port

from .load import prediction_request, rate, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact

PREDICTIONS: Final = 4_800
ROUNDS: Final = int(os.environ.get("TESTBED_BENCH_ROUNDS", "7"))
# Least share of the bare throughput that must be left; SQLite writes with synchronous=FULL.
MIN: Final = {"full": 0.90, "full_and_log": 0.75}
PEERS: Final = ("bare", "instrumentator", "otel_metrics", "otel_traces")


@dataclass
class _Variant:
    """One server and what was measured of it, per round."""

    port: int
    process: psutil.Process
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def load(self, request: bytes) -> None:
        """One round: predictions per second, and processor milliseconds for each."""
        before = self._seconds()
        self.rates.append(rate(self.port, request, PREDICTIONS))
        self.processor.append(1000 * (self._seconds() - before) / PREDICTIONS)

    def _seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@pytest.fixture
def peers(artefact: Artefact, cores: list[int], collector: str) -> Iterator[dict[str, _Variant]]:
    """The bare application, and the same with widespread instrumentations."""
    script = Path(__file__).with_name("variants.py")
    environment = os.environ | {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
    started: dict[str, _Variant] = {}
    processes = []
    for name in PEERS:
        port = free_port()
        command = [sys.executable, str(script), name, str(artefact.path), str(port), collector]
        process = subprocess.Popen(command, env=environment)
        os.sched_setaffinity(process.pid, cores[:1])
        processes.append(process)
        started[name] = _Variant(port, psutil.Process(process.pid))
    for variant in started.values():
        _wait(f"http://127.0.0.1:{variant.port}/health/ready")
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
    peers: dict[str, _Variant],
    tmp_path: Path,
) -> dict[str, _Variant]:
    """Those, and the API: with telemetry off, full, and full with a durable prediction log."""
    full = {
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
        "TESTBED_API_ACCESS_LOG": str(tmp_path / "access.jsonl"),
    }
    database = {"log_url": f"sqlite:///{tmp_path / 'log.db'}"}
    made = dict(peers)
    for name, environment, more in (
        ("off", {"OTEL_SDK_DISABLED": "true"}, {}),
        ("full", full, {"otlp": collector}),
        ("full_and_log", full, {"otlp": collector, **database}),
    ):
        api = start_api(artefact.path, core=cores[0], environment=environment, **more)
        made[name] = _Variant(api.port, psutil.Process(api.process.pid))
    return made


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=5).raise_for_status()
            return
        time.sleep(0.05)
    pytest.fail(f"nobody answers at {url}")


def test_full_telemetry_against_the_bare_application(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    variants: dict[str, _Variant],
) -> None:
    """Reports what metrics, 1 % traces and a JSON access log leave of the bare throughput."""
    request = prediction_request(artefact)
    order = list(variants)

    def one_round() -> None:
        for name in order:
            variants[name].load(request)
        order.append(order.pop(0))

    benchmark.pedantic(one_round, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    bare = variants["bare"]
    report: dict[str, dict[str, Any]] = {}
    for name, variant in variants.items():
        rates = zip(variant.rates[1:], bare.rates[1:], strict=True)  # the first one warms up
        costs = zip(bare.processor[1:], variant.processor[1:], strict=True)
        report[name] = {
            "predictions_per_second": round(statistics.median(variant.rates[1:])),
            "throughput_of_bare": spread([mine / theirs for mine, theirs in rates]),
            "by_processor_time": spread([theirs / mine for theirs, mine in costs]),
        }
    benchmark.extra_info["variants"] = report
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
    for name, least in MIN.items():
        assert report[name]["throughput_of_bare"]["median"] >= least, report[name]
