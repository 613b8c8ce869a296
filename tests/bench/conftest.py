"""What benchmarks have in common: two cores, a Collector, a trained forest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from testbed.stack import build

from tests.support.ports import free_port
from tests.support.processes import running

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


_COLLECTOR: Final = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{otlp}"}}}}}}}}
processors: {{memory_limiter: {{check_interval: 1s, limit_mib: 256}}}}
exporters: {{debug: {{verbosity: basic}}}}
extensions: {{health_check: {{endpoint: "127.0.0.1:{health}"}}}}
service:
  extensions: [health_check]
  telemetry: {{logs: {{level: error}}, metrics: {{level: none}}}}
  pipelines:
    metrics: &all {{receivers: [otlp], processors: [memory_limiter], exporters: [debug]}}
    traces: *all
    logs: *all
"""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[str]:
    """A real Collector that takes OTLP and forgets it; on the core of the clients."""
    binary = build.find().path("otelcol")
    otlp, health = free_port(), free_port()
    config = tmp_path / "collector.yaml"
    config.write_text(_COLLECTOR.format(otlp=otlp, health=health), encoding="utf-8")
    command = [str(binary), "--config", str(config)]
    with running(command, tmp_path / "collector.log", f"http://127.0.0.1:{health}/") as process:
        os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        yield f"http://127.0.0.1:{otlp}"


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
