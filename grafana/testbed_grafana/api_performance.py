"""The dashboard “API Performance”: requests, their latency and their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.models import units
from testbed_otel import names

from testbed_grafana.assembly import assemble, replicas
from testbed_grafana.ml_api_monitoring import LATENCY_LIMIT, quantiles
from testbed_grafana.panels import Query, graph, per_second
from testbed_grafana.promql import (
    API_TARGET,
    failed_ratio,
    legend,
    mean,
    quantile_by,
    select,
    sum_by,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from testbed_grafana.assembly import Panels

TITLE: Final = "API Performance"
UID: Final = "api-performance"


def _request_panels() -> Panels:
    active = select(names.HTTP_ACTIVE.prometheus, *API_TARGET)
    return (
        graph(
            "Requests per Endpoint",
            "Requests per second, by method and route.",
            per_second(names.HTTP_DURATION, names.HTTP_METHOD, names.HTTP_ROUTE),
            unit=units.RequestsPerSecond,
        ),
        graph(
            "Requests per Status",
            "Requests per second, by HTTP status.",
            per_second(names.HTTP_DURATION, names.HTTP_STATUS),
            unit=units.RequestsPerSecond,
        ),
        graph(
            "Requests in Flight",
            "Requests that are being served, by route.",
            Query(
                sum_by(names.HTTP_ACTIVE, (names.HTTP_ROUTE,), active),
                legend(names.HTTP_ACTIVE, names.HTTP_ROUTE),
            ),
            unit=units.Short,
        ),
    )


def _latency_panels() -> Panels:
    by_route = (names.HTTP_ROUTE,)
    named = legend(names.HTTP_DURATION, *by_route)
    return (
        graph(
            "Latency p50/p95/p99",
            "Quantiles of the time from the first byte of a request to the last of its answer.",
            *quantiles(names.HTTP_DURATION),
            unit=units.Seconds,
            limit=LATENCY_LIMIT,
        ),
        graph(
            "Latency p95 per Endpoint",
            "Time that 95 % of the requests to each route stay below.",
            Query(quantile_by(0.95, names.HTTP_DURATION, by_route, *API_TARGET), named),
            unit=units.Seconds,
            limit=LATENCY_LIMIT,
        ),
        graph(
            "Mean Latency per Endpoint",
            "Mean time of the requests to each route.",
            Query(mean(names.HTTP_DURATION, by_route, *API_TARGET), named),
            unit=units.Seconds,
        ),
        graph(
            "Prediction Log p95",
            "Time that 95 % of the group commits of the prediction log stay below; each prediction "
            "waits for one.",
            Query(quantile_by(0.95, names.LOG_WRITE_DURATION, (), *API_TARGET), "p95"),
            unit=units.Seconds,
        ),
    )


def _error_panels() -> Panels:
    return (
        graph(
            "Errors, 4xx and 5xx",
            "Shares of the requests that the client (4xx) and the service (5xx) got wrong.",
            *(
                Query(failed_ratio(names.HTTP_DURATION, f"{digit}..", *API_TARGET), f"{digit}xx")
                for digit in (4, 5)
            ),
            unit=units.PercentUnit,
        ),
        graph(
            "Failed Predictions",
            "Failed predictions per second, by kind.",
            per_second(names.PREDICTION_ERRORS, names.ERROR_TYPE),
            unit=units.CountsPerSecond,
        ),
    )


def build() -> Dashboard:
    """The dashboard, ready to be encoded."""
    return assemble(
        UID,
        TITLE,
        "Requests to the API, their latency and their errors.",
        (replicas(),),
        (
            ("Requests", _request_panels()),
            ("Latency", _latency_panels()),
            ("Errors", _error_panels()),
        ),
    )
