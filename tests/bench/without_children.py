"""Serves the API with the instruments of OpenTelemetry's SDK in place of metric children.

What they buy is in ``docs/decisions/0011-telemetry.md``.

Usage: ``python without_children.py PIECE``, with the settings of ``python -m testbed_api``.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from testbed_api.__main__ import main
from testbed_otel import sdk
from testbed_otel.children import NO_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.metrics import Meter
    from testbed_otel.names import Metric
    from testbed_otel.sdk import Telemetry


class _SdkMetric:
    """One instrument of the SDK behind the interface of a metric family."""

    def __init__(self, measure: Callable[..., None]) -> None:
        self._measure = measure

    def add(self, amount: float, attributes: Mapping[str, Any] = NO_ATTRIBUTES) -> None:
        """Measure; the SDK takes exemplars from the current context."""
        self._measure(amount, attributes)

    record = add

    def child(self, attributes: Mapping[str, Any] = NO_ATTRIBUTES) -> _SdkChild:
        """The same for fixed attributes."""
        return _SdkChild(self._measure, dict(attributes))


class _SdkChild:
    def __init__(self, measure: Callable[..., None], attributes: Mapping[str, Any]) -> None:
        self._measure = measure
        self._attributes = attributes

    def add(self, amount: float) -> None:
        self._measure(amount, self._attributes)

    def record(self, value: float, trace: object = None) -> None:
        del trace
        self._measure(value, self._attributes)


def _sums(_telemetry: Telemetry, meter: Meter, metric: Metric) -> _SdkMetric:
    create = meter.create_counter if metric.kind == "counter" else meter.create_up_down_counter
    return _SdkMetric(create(metric.name, metric.unit, metric.help).add)


def _histogram(_telemetry: Telemetry, meter: Meter, metric: Metric) -> _SdkMetric:
    return _SdkMetric(sdk.histogram(meter, metric).record)


def children(*, sums: bool, histograms: bool) -> None:
    """Use the SDK's synchronous instruments in place of children."""
    telemetry: Any = sdk.Telemetry
    if sums:
        telemetry.sums = _sums
    if histograms:
        telemetry.histogram = _histogram


PIECES: Final[Mapping[str, Callable[[], None]]] = {
    "nothing": lambda: None,
    "sum_children": partial(children, sums=True, histograms=False),
    "histogram_children": partial(children, sums=False, histograms=True),
    "children": partial(children, sums=True, histograms=True),
}

if __name__ == "__main__":
    PIECES[sys.argv[1]]()
    sys.argv[1:] = []
    sys.exit(main())
