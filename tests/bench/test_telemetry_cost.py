"""What telemetry costs: throughput and processor time as shares of the bare application's.

Run it with ``pytest tests/bench/test_telemetry_cost.py --benchmark-enable``. All servers run on the
first core, one of them loaded at a time; the clients have the second. In each round every variant
is loaded once, in an order that rotates, and compared with the bare application of that round.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact

CONNECTIONS: Final = 32
PREDICTIONS: Final = 2_400
ROUNDS: Final = int(os.environ.get("TESTBED_BENCH_ROUNDS", "7"))
PEERS: Final = ("bare", "instrumentator", "otel_metrics", "otel_traces")


class _Sink(BaseHTTPRequestHandler):
    """Takes OTLP exports and forgets them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def sink() -> Iterator[str]:
    """An OTLP endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cores() -> Iterator[list[int]]:
    """Two cores; the test itself keeps to the second."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("needs two cores, one for the servers and one for their clients")
    pair = sorted(allowed)[:2]
    os.sched_setaffinity(0, pair[1:])
    yield pair
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def artefact(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    tmp_path: Path,
) -> Artefact:
    """A forest of 100 trees of depth 10, as ``testbed train`` makes it."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    from testbed_domain.training import train  # noqa: PLC0415 - scikit-learn: slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    return train(get_use_case("diabetes"), None, 1, tmp_path / "model")


@dataclass
class _Variant:
    """One server and what was measured of it, per round."""

    port: int
    process: psutil.Process
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def load(self, body: bytes) -> None:
        """One round: predictions per second, and processor milliseconds for each."""
        before, started = self._seconds(), time.perf_counter()
        good = asyncio.run(_load(self.port, body))
        elapsed = time.perf_counter() - started
        assert good == PREDICTIONS
        self.rates.append(PREDICTIONS / elapsed)
        self.processor.append(1000 * (self._seconds() - before) / PREDICTIONS)

    def _seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@pytest.fixture
def peers(
    artefact: Artefact, cores: list[int], sink: str, unused_ports: Callable[[], int]
) -> Iterator[dict[str, _Variant]]:
    """The bare application, and the same with widespread instrumentations."""
    script = Path(__file__).with_name("variants.py")
    environment = os.environ | {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
    started: dict[str, _Variant] = {}
    processes = []
    for name in PEERS:
        port = unused_ports()
        command = [sys.executable, str(script), name, str(artefact.path), str(port), sink]
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
    sink: str,
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
        ("full", full, {"otlp": sink}),
        ("full_and_log", full, {"otlp": sink, **database}),
    ):
        api = start_api(artefact.path, core=cores[0], environment=environment, **more)
        made[name] = _Variant(api.port, psutil.Process(api.process.pid))
    return made


@pytest.fixture
def unused_ports() -> Callable[[], int]:
    """Finds TCP ports that nothing listens on."""
    import socket  # noqa: PLC0415 - nothing else here needs it

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])

    return find


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=5).raise_for_status()
            return
        time.sleep(0.05)
    pytest.fail(f"nobody answers at {url}")


async def _client(port: int, request: bytes, count: int) -> int:
    """Send ``count`` requests over one connection; how many were answered with 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    good = 0
    for _ in range(count):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        good += head.startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    return good


async def _load(port: int, body: bytes) -> int:
    request = (
        b"POST /predict HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body
    share = PREDICTIONS // CONNECTIONS
    return sum(await asyncio.gather(*(_client(port, request, share) for _ in range(CONNECTIONS))))


def _spread(shares: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(shares), 3),
        "worst": round(min(shares), 3),
        "best": round(max(shares), 3),
    }


def test_full_telemetry_against_the_bare_application(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    variants: dict[str, _Variant],
) -> None:
    """Reports what metrics, 1 % traces and a JSON access log leave of the bare throughput."""
    row = {feature.name: feature.example for feature in artefact.schema.features}
    body = json.dumps(row).encode()
    order = list(variants)

    def one_round() -> None:
        for name in order:
            variants[name].load(body)
        order.append(order.pop(0))

    benchmark.pedantic(one_round, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    bare = variants["bare"]
    report: dict[str, dict[str, Any]] = {}
    for name, variant in variants.items():
        rates = zip(variant.rates[1:], bare.rates[1:], strict=True)  # the first one warms up
        costs = zip(bare.processor[1:], variant.processor[1:], strict=True)
        report[name] = {
            "predictions_per_second": round(statistics.median(variant.rates[1:])),
            "throughput_of_bare": _spread([mine / theirs for mine, theirs in rates]),
            "by_processor_time": _spread([theirs / mine for theirs, mine in costs]),
        }
    benchmark.extra_info["variants"] = report
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
