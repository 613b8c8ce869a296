"""What each piece of the HTTP path buys: the API without it, as a ratio of the API as it is.

Run it with ``pytest tests/bench/test_ablation.py --benchmark-enable``; see :mod:`.comparison`.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .comparison import compare, without_pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.artefact import Artefact

SCRIPT: Final = Path(__file__).with_name("ablated.py")
ROUNDS: Final = int(os.environ.get("TESTBED_BENCH_ROUNDS", "5"))
PREDICTIONS: Final = 1_600
PIECES: Final = (
    "nothing",
    "fast_path",
    "fast_path_by_route",
    "orjson",
    "client_presence",
    "reading_time",
    "connection",
    "sampling_before",
    "model_once_a_turn",
)


def test_what_each_piece_buys(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    cores: list[int],
    collector: str,
    start_api: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Reports the throughput of the whole request without each piece."""
    start = partial(start_api, artefact.path, core=cores[0], otlp=collector)
    variants = without_pieces(SCRIPT, PIECES, start, tmp_path)
    compare(benchmark, artefact, variants, rounds=ROUNDS, predictions=PREDICTIONS)
