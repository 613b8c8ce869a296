"""What telemetry costs: pairs of measurements, and no stronger a statement than they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from testbed.errors import UsageError
from testbed.overhead import (
    ENOUGH,
    MEASURED,
    QUANTITIES,
    WARM_UP,
    Measurement,
    OverheadResult,
    compare,
    measured,
    order,
    overhead_table,
)
from testbed.targets.bundled import BundledApi
from testbed.targets.http import HttpService
from testbed.truth import Request, Truth

if TYPE_CHECKING:
    from collections.abc import Sequence


def request(number: int, phase: str, status: int | None = 200, sent: float = 0.0) -> Request:
    """One request that took 20 ms."""
    return Request(
        request_id=f"r-{number}", phase=phase, scheduled_at=sent, sent_at=sent,
        finished_at=sent + 0.02, status=status, error=None if status else "timeout",
        prediction_id=None, seq=number, drift=None, severity=0.0, features={}, label=1,
    )  # fmt: skip


def found(on: Sequence[float], off: Sequence[float]) -> OverheadResult:
    """A result of rounds with these throughputs; all else is alike."""
    pairs = [(number, True, value) for number, value in enumerate(on)]
    pairs += [(number, False, value) for number, value in enumerate(off)]
    return compare(
        "api",
        "8 users",
        [
            Measurement(
                round=number, telemetry=telemetry, throughput=value, p50=1.0, p99=2.0, cpu=1.0,
                memory=100.0, failed=0,
            )
            for number, telemetry, value in pairs
        ],
    )  # fmt: skip


def test_each_round_has_both_and_they_take_turns() -> None:
    """What warms up or wears out in the course of a run hits both alike."""
    assert list(order(3)) == [
        (0, True), (0, False), (1, False), (1, True), (2, True), (2, False),
    ]  # fmt: skip


def test_a_load_is_measured_without_its_warm_up() -> None:
    """Processor time counts for all answers, failures are of what counts."""
    requests = [request(n, WARM_UP) for n in range(10)]
    requests += [request(10 + n, MEASURED, sent=100 + n * 0.1) for n in range(10)]
    requests += [request(20, MEASURED, None, sent=100.5), request(21, MEASURED, 500, sent=100.6)]
    truth = Truth(0.0, 200.0, tuple(requests), ())
    item = measured(0, truth, telemetry=True, cpu=0.21, memory=2**20 * 50)
    assert item.throughput == pytest.approx(11 / 0.92)
    assert [item.p50, item.p99, item.cpu, item.memory] == pytest.approx([20, 20, 10, 50])
    assert item.failed == 2


def test_ratios_are_those_of_the_rounds() -> None:
    """A machine that gets slower between rounds changes both of a pair, not their ratio."""
    (throughput, *others) = found([90, 45, 45, 45, 30], [100, 50, 50, 50, 30]).ratios
    assert (throughput.on, throughput.off) == (45, 50)
    assert (throughput.ratio, throughput.low, throughput.high) == (0.9, 0.9, 1.0)
    assert throughput.interval == "range"
    assert throughput.text == "no difference shown"
    assert [each.quantity for each in others] == list(QUANTITIES)[1:]
    assert found([90] * 5, [100] * 5).ratios[0].text == "10.0% less"
    assert found([90] * 4, [100] * 4).ratios[0].text == "fewer than 5 rounds say nothing"


def test_many_rounds_are_bootstrapped() -> None:
    """One odd round of many does not decide, and equal ratios give an equal interval."""
    on = [90.0] * (ENOUGH + 4) + [200.0]
    (ratio, *_) = found(on, [100.0] * len(on)).ratios
    assert (ratio.low, ratio.high, ratio.interval) == (0.9, 0.9, "bootstrap")
    assert found(on, [100.0] * len(on)) == found(on, [100.0] * len(on))


def test_the_table_says_what_the_interval_is() -> None:
    """Five quantities, each with its unit."""
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(overhead_table(found([90, 45], [100, 50])))
    text = capture.get()
    assert "smallest to largest" in text
    assert all(unit in text for unit in QUANTITIES.values())


def test_a_service_says_how_it_goes_without_telemetry() -> None:
    """By another command or other variables; one that runs already can't be switched."""
    file = {"service": "shop", "command": "python app.py"}
    assert HttpService.model_validate(file).overhead.off.environment == {
        "OTEL_SDK_DISABLED": "true"
    }
    other = HttpService.model_validate(
        file | {"overhead": {"off": {"command": "python bare.py --port {http}"}}}
    )
    assert other.overhead.off.command == ("python", "bare.py", "--port", "{http}")
    assert other.switched(telemetry=False).name == "shop"
    with pytest.raises(UsageError, match="runs already"):
        HttpService.model_validate({"url": "http://127.0.0.1:1"}).switched(telemetry=False)
    with pytest.raises(ValueError, match="asks for the port"):
        HttpService.model_validate(file | {"overhead": {"on": {"command": "x {grpc}"}}})
    assert BundledApi().switched(telemetry=False).name == "api"
