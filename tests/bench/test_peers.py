"""The same forest served by us, by BentoML and by MLServer, each with its telemetry on.

Run it with ``pytest tests/bench/test_peers.py --benchmark-enable``. All servers run on the first
core, one of them loaded at a time; the client and the Collector have the second. In each round
every server is loaded once, in an order that rotates. ``peers/README.md`` says with which settings
and why; the peers are installed into environments of their own.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psutil
import pytest
from testbed.errors import StackError

from .load import prediction_request, spread
from .peers.environments import EnvironmentMissingError
from .peers.load import Round, play
from .peers.servers import Server, bentoml, collector, mlserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact

PREDICTIONS: Final = 2_560
ROUNDS: Final = 5
MIN_RATE: Final = 4.0  # times the peer's requests per second
MAX_LATENCY: Final = 0.5  # of the peer's 99th percentile
P99: Final = 0.99
OURS: Final = "testbed"
# MLServer ships no ONNX runtime; with its own scikit-learn runtime it is slower, and shown beside.
PEERS: Final = ("bentoml", "mlserver")


@dataclass
class _Target:
    """A server, the request it is asked with, and what was measured of it, per round."""

    server: Server
    request: bytes
    rounds: list[Round] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def load(self) -> None:
        """One round."""
        before = self.server.processor_seconds()
        self.rounds.append(play(self.server.port, self.request, PREDICTIONS))
        self.processor.append((self.server.processor_seconds() - before) / PREDICTIONS)


@pytest.fixture
def artefact(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    tmp_path: Path,
) -> Artefact:
    """A forest of 100 trees of depth 10, with its scikit-learn model."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(skops=True)
    return train(get_use_case("diabetes"), None, 1, tmp_path / "model", options)


def _post(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: peer\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content


def _inference(artefact: Artefact, model: str, output: str) -> bytes:
    """A request of the open inference protocol, which MLServer speaks."""
    row = [feature.example for feature in artefact.schema.features]
    tensor = {"name": "features", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    return _post(f"/v2/models/{model}/infer", {"inputs": [tensor], "outputs": [{"name": output}]})


@pytest.fixture
def targets(
    artefact: Artefact, cores: list[int], start_api: Callable[..., Any], tmp_path: Path
) -> Iterator[dict[str, _Target]]:
    """Port and request of each server."""
    row = {feature.name: feature.example for feature in artefact.schema.features}
    with contextlib.ExitStack() as stack:
        try:
            sent_to = stack.enter_context(collector(tmp_path, cores[1]))
            bento = stack.enter_context(bentoml(artefact, tmp_path, cores[0], sent_to))
            seldon = stack.enter_context(mlserver(artefact, tmp_path, cores[0], sent_to))
        except (EnvironmentMissingError, StackError) as error:
            pytest.skip(str(error))
        api = start_api(
            artefact.path,
            otlp=f"http://127.0.0.1:{sent_to.http}",
            core=cores[0],
            environment={
                "OTEL_METRIC_EXPORT_INTERVAL": "1000",
                "OTEL_TRACES_SAMPLER_ARG": "0.01",
                "TESTBED_API_ACCESS_LOG": str(tmp_path / "access.jsonl"),
            },
        )
        own = Server(api.port, psutil.Process(api.process.pid))
        yield {
            OURS: _Target(own, prediction_request(artefact)),
            "bentoml": _Target(bento, _post("/predict", row)),
            "mlserver": _Target(seldon, _inference(artefact, "onnx", "probabilities")),
            "mlserver, scikit-learn": _Target(
                seldon, _inference(artefact, "scikit-learn", "predict_proba")
            ),
        }


def test_more_requests_in_less_time_than_the_peers(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    targets: dict[str, _Target],
) -> None:
    """At least 4 times the requests per second of each peer, and at most half of its p99."""
    order = list(targets)

    def one_round() -> None:
        for name in order:
            targets[name].load()
        order.append(order.pop(0))

    benchmark.pedantic(one_round, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    report = {name: _compare(targets[OURS], peer) for name, peer in targets.items()}
    benchmark.extra_info["servers"] = report
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
    for name in PEERS:
        assert report[name]["our_rate_to_its"]["median"] >= MIN_RATE, name
        assert report[name]["our_p99_to_its"]["median"] <= MAX_LATENCY, name


def _compare(ours: _Target, peer: _Target) -> dict[str, Any]:
    """What was measured of a server, and how we compare; the first round only warms up."""
    pairs = list(zip(ours.rounds[1:], peer.rounds[1:], strict=True))
    costs = list(zip(ours.processor[1:], peer.processor[1:], strict=True))
    return {
        "requests_per_second": round(statistics.median(there.rate for _, there in pairs)),
        "processor_ms": _milliseconds(there for _, there in costs),
        "p50_ms": _milliseconds(there.quantile(0.5) for _, there in pairs),
        "p99_ms": _milliseconds(there.quantile(P99) for _, there in pairs),
        "our_rate_to_its": spread(here.rate / there.rate for here, there in pairs),
        # Where others use the cores as well, this is steadier than the rate.
        "its_processor_time_to_ours": spread(there / here for here, there in costs),
        "our_p99_to_its": spread(here.quantile(P99) / there.quantile(P99) for here, there in pairs),
    }


def _milliseconds(seconds: Iterable[float]) -> float:
    return round(1000 * statistics.median(seconds), 3)
