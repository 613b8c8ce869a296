"""PromQL of the dashboards, built from the vocabulary so that a renaming can't be missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

if TYPE_CHECKING:
    from testbed_otel.names import Metric

RATE_INTERVAL: Final = "$__rate_interval"
INSTANCE: Final = "$instance"
CONTAINER: Final = "$container"
VERSION: Final = "$model_version"
SEGMENT: Final = "$segment"
# Labels that Prometheus itself sets; every other label is an attribute of its metric.
TARGET_LABELS: Final = ("job", "instance")

API_JOB: Final = f'job="{names.JOB_API}"'
API_TARGET: Final = (API_JOB, f'instance=~"{INSTANCE}"')


def foreign(series: str) -> str:
    """A series of another program, checked against the vocabulary.

    Raises:
        ValueError: the vocabulary doesn't hold it.
    """
    if series not in names.FOREIGN_SERIES:
        raise ValueError(f"{series} is not in testbed_otel.names.FOREIGN_SERIES")
    return series


def label(metric: Metric, attribute: str) -> str:
    """The Prometheus label of an attribute of ``metric``.

    Raises:
        ValueError: the metric doesn't carry the attribute.
    """
    if attribute in TARGET_LABELS:
        return attribute
    if attribute not in metric.attributes:
        raise ValueError(f"{metric.name} has no attribute {attribute}")
    return names.label(attribute)


def select(series: str, *matchers: str) -> str:
    """An instant selector, for example ``up{job="ml-api"}``."""
    return f"{series}{{{','.join(matchers)}}}" if matchers else series


def equals(metric: Metric, attribute: str, value: str) -> str:
    """A matcher of the series whose attribute has this value.

    Raises:
        ValueError: the metric doesn't carry the attribute, or never with that value.
    """
    matcher = f'{label(metric, attribute)}="{value}"'
    if value not in dict(metric.values).get(attribute, (value,)):
        raise ValueError(f"{metric.name} is never {matcher}")
    return matcher


def like(metric: Metric, attribute: str, pattern: str) -> str:
    """A matcher of the series whose attribute matches a pattern as a whole.

    Raises:
        ValueError: the metric doesn't carry the attribute.
    """
    return f'{label(metric, attribute)}=~"{pattern}"'


def chosen(metric: Metric, attribute: str) -> str:
    """A matcher of the series that the dashboard's variable of this attribute chooses.

    Raises:
        ValueError: the metric doesn't carry the attribute.
    """
    return like(metric, attribute, f"${label(metric, attribute)}")


def rate(selector: str) -> str:
    """Increase per second over the window that fits the panel's resolution."""
    return f"rate({selector}[{RATE_INTERVAL}])"


def rate_by(metric: Metric, attributes: tuple[str, ...], *matchers: str) -> str:
    """What the API counts per second on the chosen replicas, per combination of attributes."""
    return sum_by(metric, attributes, rate(select(metric.prometheus, *API_TARGET, *matchers)))


def sum_by(metric: Metric, attributes: tuple[str, ...], expr: str) -> str:
    """Sum of ``expr``, an expression over ``metric``, per combination of attributes."""
    labels = ", ".join(label(metric, attribute) for attribute in attributes)
    return f"sum by ({labels}) ({expr})"


def quantile(ratio: float, metric: Metric, *matchers: str) -> str:
    """Estimate of a quantile of a histogram, over all labels; see :func:`quantile_by`."""
    return quantile_by(ratio, metric, (), *matchers)


def quantile_by(ratio: float, metric: Metric, attributes: tuple[str, ...], *matchers: str) -> str:
    """Estimate of a quantile of a histogram, per combination of attributes.

    Args:
        ratio: the quantile, 0 to 1.
        metric: a histogram of the vocabulary.
        attributes: what is distinguished.
        matchers: label matchers of its series.

    Raises:
        ValueError: the metric is not a histogram, or doesn't carry an attribute.
    """
    bucket = f"{metric.prometheus}_bucket"
    if bucket not in metric.prometheus_series:
        raise ValueError(f"{metric.name} is not a histogram")
    labels = ", ".join(["le", *(label(metric, attribute) for attribute in attributes)])
    return f"histogram_quantile({ratio}, sum by ({labels}) ({rate(select(bucket, *matchers))}))"


def mean(metric: Metric, attributes: tuple[str, ...], *matchers: str) -> str:
    """Mean of a histogram's measurements, per combination of attributes.

    Raises:
        ValueError: the metric is not a histogram, or doesn't carry an attribute.
    """
    if metric.kind != "histogram":
        raise ValueError(f"{metric.name} is not a histogram")
    _, sums, counts = (rate(select(series, *matchers)) for series in metric.prometheus_series)
    return f"{sum_by(metric, attributes, sums)} / {sum_by(metric, attributes, counts)}"


def failed_ratio(metric: Metric, status: str, *matchers: str) -> str:
    """Share of the requests whose HTTP status matches, 0 where none does.

    Args:
        metric: a histogram with the status of requests.
        status: pattern, as ``5..``.
        matchers: label matchers of its series.
    """
    count = f"{metric.prometheus}_count"
    failed = f'{label(metric, names.HTTP_STATUS)}=~"{status}"'
    some = f"sum({rate(select(count, *matchers, failed))})"
    return f"({some} or vector(0)) / sum({rate(select(count, *matchers))})"


def legend(metric: Metric, *attributes: str) -> str:
    """Legend that shows these attributes of a series, separated by blanks."""
    return " ".join(f"{{{{{label(metric, attribute)}}}}}" for attribute in attributes)
