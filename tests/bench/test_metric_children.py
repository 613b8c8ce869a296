"""What metric children buy: throughput of the API without them, as a ratio of that with them.

Run it with ``pytest tests/bench/test_metric_children.py --benchmark-enable``; see
:mod:`.comparison`.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .comparison import compare, without_pieces
from .without_children import PIECES

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.artefact import Artefact

SCRIPT: Final = Path(__file__).with_name("without_children.py")
PREDICTIONS: Final = 4_800
ROUNDS: Final = int(os.environ.get("TESTBED_BENCH_ROUNDS", "5"))
# What a piece must buy of the whole request's throughput, or it goes.
MIN_GAIN: Final = 0.10


def test_children_buy_a_tenth_of_the_throughput(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    cores: list[int],
    collector: str,
    start_api: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Full telemetry, 1 % traces, a JSON access log, no prediction log."""
    start = partial(start_api, artefact.path, core=cores[0], otlp=collector)
    variants = without_pieces(SCRIPT, PIECES, start, tmp_path)
    report = compare(benchmark, artefact, variants, rounds=ROUNDS, predictions=PREDICTIONS)
    assert report["children"]["throughput"]["median"] <= 1 / (1 + MIN_GAIN)
