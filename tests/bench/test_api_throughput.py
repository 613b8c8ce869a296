"""How many predictions one core answers, with everything on that production has on.

Run it with ``pytest tests/bench/test_api_throughput.py --benchmark-enable``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .load import prediction_request, rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.artefact import Artefact

PREDICTIONS = 4_000
ROUNDS = 5


@pytest.fixture
def api(
    artefact: Artefact,
    cores: list[int],
    collector: str,
    start_api: Callable[..., Any],
) -> Any:  # noqa: ANN401 - made by the fixture above
    """The API on a core of its own, pushing metrics each second, with a durable log."""
    return start_api(
        artefact.path,
        log_url=f"sqlite:///{artefact.path.parent / 'log.db'}",
        otlp=collector,
        core=cores[0],
        environment={"OTEL_METRIC_EXPORT_INTERVAL": "1000"},
    )


def test_predictions_per_second_on_one_core(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    api: Any,  # noqa: ANN401 - made by a fixture
) -> None:
    """All predictions are answered with 200; the report holds their rate."""
    request = prediction_request(artefact)
    benchmark.pedantic(
        lambda: rate(api.port, request, PREDICTIONS), rounds=ROUNDS, iterations=1, warmup_rounds=1
    )
    stats = benchmark.stats.stats
    benchmark.extra_info["predictions_per_second"] = {
        "median": round(PREDICTIONS / stats.median),
        "worst": round(PREDICTIONS / stats.max),
    }
