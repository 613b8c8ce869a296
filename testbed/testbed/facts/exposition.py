"""The text of a ``/metrics`` page as values and as shapes of metrics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric as Family

    from testbed.clients.prometheus import SeriesSample

BUCKET: Final = "le"

OWN: Final = ("ml_", "http_server_", "telemetry_")
"""How metrics of the vocabulary begin in Prometheus."""

VALUES: Final = 60
"""Values of a label that a shape holds at most."""

Key = tuple[str, tuple[tuple[str, str], ...]]


class Shape(StoredModel):
    """What a page shows of one metric beside its values.

    Attributes:
        name: as ``# TYPE`` has it.
        kind: ``counter``, ``gauge``, ``histogram`` and so on.
        bounds: bucket bounds, all different ones, in order, without ``+Inf``.
        labels: label to its values, without ``le``.
    """

    name: str
    kind: str
    bounds: tuple[float, ...] = ()
    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Values by series: name, and labels in order."""

    values: Mapping[Key, float] = field(default_factory=dict)

    def total(self, name: str, labels: Mapping[str, str], *, without: str = "") -> float:
        """Sum of the series that bear all of these labels, and none of the name ``without``."""
        wanted = labels.items()
        return sum(
            value
            for (metric, own), value in self.values.items()
            if metric == name and wanted <= dict(own).items() and not dict(own).get(without)
        )


def read_page(text: str) -> tuple[Page, tuple[Shape, ...]]:
    """Values and shapes of our metrics on a page.

    Raises:
        ValueError: the text is no Prometheus exposition.
    """
    values: dict[Key, float] = {}
    shapes = []
    for family in text_string_to_metric_families(text):
        if family.name.startswith(OWN):
            shapes.append(_shape(family))
            for sample in family.samples:
                values[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return Page(values), tuple(sorted(shapes, key=lambda shape: shape.name))


def stored_page(samples: Iterable[SeriesSample]) -> Page:
    """The same values out of Prometheus, of one instance."""
    values: dict[Key, float] = {}
    for sample in samples:
        own = {k: v for k, v in sample.labels.items() if k not in {"__name__", "job", "instance"}}
        values[sample.labels.get("__name__", ""), tuple(sorted(own.items()))] = sample.value
    return Page(values)


def _shape(family: Family) -> Shape:
    bounds: set[float] = set()
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label == BUCKET:
                bounds.add(float(value))
            elif value:  # an empty one is the page's way to leave a label out
                labels[label].add(value)
    # The parser takes the suffix of counters off.
    suffix = "_total" if family.type == "counter" else ""
    return Shape(
        name=f"{family.name}{suffix}",
        kind=family.type,
        bounds=tuple(sorted(bound for bound in bounds if bound != float("inf"))),
        labels={label: tuple(sorted(found)[:VALUES]) for label, found in sorted(labels.items())},
    )
