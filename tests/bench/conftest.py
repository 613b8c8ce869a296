"""What the benchmarks share: two cores, an OTLP endpoint that costs little, a trained forest."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact


@pytest.fixture
def cores() -> Iterator[list[int]]:
    """Two cores, the first for servers; the test itself keeps to the second."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("needs two cores, one for the servers and one for their clients")
    pair = sorted(allowed)[:2]
    os.sched_setaffinity(0, pair[1:])
    yield pair
    os.sched_setaffinity(0, allowed)


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
