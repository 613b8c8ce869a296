"""Variants of a server side by side: each is loaded once a round, in an order that rotates.

All servers run on the first core, one of them loaded at a time; the clients have the second. A
variant is compared with the first of its round, so that what the machine does meanwhile is in both.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from .load import prediction_request, rate, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from testbed_domain.artefact import Artefact


@dataclass
class Variant:
    """One server and what was measured of it, per round."""

    port: int
    process: psutil.Process
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def load(self, request: bytes, predictions: int) -> None:
        """One round: predictions per second, and processor milliseconds for each."""
        before = self._seconds()
        self.rates.append(rate(self.port, request, predictions))
        self.processor.append(1000 * (self._seconds() - before) / predictions)

    def _seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


def full_telemetry(access_log: Path) -> dict[str, str]:
    """Variables of the API for all metrics, 1 % of the traces and a JSON access log."""
    return {
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
        "TESTBED_API_ACCESS_LOG": str(access_log),
    }


def without_pieces(
    script: Path, pieces: Iterable[str], start: Callable[..., Any], folder: Path
) -> dict[str, Variant]:
    """The API with full telemetry, without each piece.

    Args:
        script: serves the API without the piece that is its argument.
        pieces: names; one of them is of the whole API.
        start: ``start_api`` with model, core and Collector.
        folder: of the access logs.
    """
    made = {}
    for piece in pieces:
        environment = full_telemetry(folder / f"{piece}.jsonl")
        api = start(environment=environment, program=(str(script), piece))
        made[piece] = Variant(api.port, psutil.Process(api.process.pid))
    return made


def compare(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    variants: dict[str, Variant],
    *,
    rounds: int,
    predictions: int,
) -> dict[str, dict[str, Any]]:
    """Load all variants, report and print each as a ratio of the first one.

    Args:
        benchmark: of the plugin.
        artefact: whose example row is sent.
        variants: by name.
        rounds: that count; one before them warms up.
        predictions: of each variant in a round.
    """
    request = prediction_request(artefact)
    order = list(variants)
    first = variants[order[0]]

    def one_round() -> None:
        for name in order:
            variants[name].load(request, predictions)
        order.append(order.pop(0))

    benchmark.pedantic(one_round, rounds=rounds, iterations=1, warmup_rounds=1)
    report = {
        name: {
            "predictions_per_second": round(statistics.median(variant.rates[1:])),
            "throughput": spread(_ratios(variant.rates, first.rates)),
            "by_processor_time": spread(_ratios(first.processor, variant.processor)),
        }
        for name, variant in variants.items()
    }
    benchmark.extra_info["variants"] = report
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
    return report


def _ratios(above: list[float], below: list[float]) -> list[float]:
    return [mine / theirs for mine, theirs in zip(above[1:], below[1:], strict=True)]
