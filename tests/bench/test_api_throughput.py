"""How many predictions one core answers, with everything on that production has on.

Run it with ``pytest tests/bench/test_api_throughput.py --benchmark-enable``.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact

CONNECTIONS = 32
PREDICTIONS = 4_000
ROUNDS = 5


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
        pytest.skip("needs two cores, one for the API and one for its clients")
    pair = sorted(allowed)[:2]
    os.sched_setaffinity(0, pair[1:])
    yield pair
    os.sched_setaffinity(0, allowed)


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


@pytest.fixture
def artefact(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    tmp_path: Path,
) -> Artefact:
    """A forest of the size that ``testbed train`` makes."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    from testbed_domain.training import train  # noqa: PLC0415 - scikit-learn: slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    return train(get_use_case("diabetes"), None, 1, tmp_path / "model")


@pytest.fixture
def api(
    artefact: Artefact,
    cores: list[int],
    sink: str,
    start_api: Callable[..., Any],
) -> Any:  # noqa: ANN401 - made by the fixture above
    """The API on a core of its own, pushing metrics each second, with a durable log."""
    return start_api(
        artefact.path,
        log_url=f"sqlite:///{artefact.path.parent / 'log.db'}",
        otlp=sink,
        core=cores[0],
        environment={"OTEL_METRIC_EXPORT_INTERVAL": "1000"},
    )


def test_predictions_per_second_on_one_core(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    api: Any,  # noqa: ANN401 - made by a fixture
) -> None:
    """All predictions are answered with 200; the report holds their rate."""
    row = {feature.name: feature.example for feature in artefact.schema.features}
    body = json.dumps(row).encode()
    good = benchmark.pedantic(
        lambda: asyncio.run(_load(api.port, body)), rounds=ROUNDS, iterations=1, warmup_rounds=1
    )
    assert good == PREDICTIONS
    stats = benchmark.stats.stats
    benchmark.extra_info["predictions_per_second"] = {
        "median": round(PREDICTIONS / stats.median),
        "worst": round(PREDICTIONS / stats.max),
    }
