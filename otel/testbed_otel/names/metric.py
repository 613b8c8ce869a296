"""What the vocabulary says of a metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

InstrumentKind = Literal["counter", "updowncounter", "histogram", "gauge"]


@dataclass(frozen=True)
class Metric:
    """One metric of the vocabulary.

    Attributes:
        name: OpenTelemetry name, dotted.
        kind: instrument kind.
        unit: UCUM unit; annotations in braces leave no suffix in Prometheus. Never ``1``: over
            OTLP that turns ``x`` into ``x_ratio``.
        help: one sentence for people.
        attributes: attribute keys that a point may carry.
        values: allowed values of those attributes that have a closed set.
        buckets: histogram boundaries, in ``unit``.
    """

    name: str
    kind: InstrumentKind
    unit: str
    help: str
    attributes: tuple[str, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    buckets: tuple[float, ...] = ()

    @cached_property
    def prometheus(self) -> str:
        """Name in Prometheus (base name, without ``_bucket``, ``_sum`` or ``_count``)."""
        base = self.name.replace(".", "_")
        if self.unit == "s" and not base.endswith("_seconds"):
            base += "_seconds"
        if self.kind == "counter" and not base.endswith("_total"):
            base += "_total"
        return base

    @property
    def prometheus_series(self) -> tuple[str, ...]:
        """Names of the series that Prometheus stores for this metric."""
        base = self.prometheus
        if self.kind == "histogram":
            return (f"{base}_bucket", f"{base}_sum", f"{base}_count")
        return (base,)


def label(attribute: str) -> str:
    """Name of an attribute as a Prometheus label."""
    return attribute.replace(".", "_")
