"""The dashboard “ML API Monitoring”: the service, its drift job and its telemetry pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.models import units
from testbed_otel import names

from testbed_grafana.assembly import assemble, replicas
from testbed_grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    Query,
    State,
    graph,
    named,
    newest,
    number,
    per_second,
    status,
)
from testbed_grafana.promql import (
    API_TARGET,
    foreign,
    label,
    legend,
    quantile,
    rate,
    select,
    sum_by,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from testbed_grafana.assembly import Panels

TITLE: Final = "ML API Monitoring"
UID: Final = "ml-api-monitoring"

QUANTILES: Final = (0.5, 0.95, 0.99)
# What the alerts compare with, drawn as a line: one sees how near it is.
LATENCY_LIMIT: Final = 1.0
INFERENCE_LIMIT: Final = 0.5
ERROR_RATE_LIMIT: Final = 0.1
ACTIVE_REQUESTS_LIMIT: Final = 10

THIRD: Final = 8

_UP: Final = foreign("up")
HTTP_COUNT: Final = f"{names.HTTP_DURATION.prometheus}_count"


def status_panels() -> Panels:
    """Whether the API and its model are up."""
    api_up = select(_UP, *API_TARGET)
    # A dead sender's last value stays for the lookback, since OTLP writes no staleness marker:
    # only times ``up`` does it say what is true now.
    loaded = (
        f"{select(names.MODEL_LOADED.prometheus, *API_TARGET)} "
        f"* on (job, instance) group_left () {api_up}"
    )
    return (
        status(
            "API Status",
            "Whether Prometheus reaches the management port of each replica.",
            Query(api_up, legend(names.MODEL_LOADED, "instance")),
            states={"1": State("UP", GREEN), "0": State("DOWN", RED)},
        ),
        status(
            "Model Status",
            "Whether each replica that is up has its model loaded and warmed up.",
            Query(loaded, legend(names.MODEL_LOADED, names.MODEL_NAME, names.MODEL_VERSION)),
            states={"1": State("LOADED", GREEN), "0": State("NOT LOADED", RED)},
        ),
    )


def _traffic_panels() -> Panels:
    by_route = (names.HTTP_METHOD, names.HTTP_ROUTE)
    by_class = (names.PREDICTION_CLASS,)
    return (
        graph(
            "Request Rate per Endpoint",
            "Requests per second that the API answered, by method and route.",
            per_second(names.HTTP_DURATION, *by_route),
            unit=units.RequestsPerSecond,
        ),
        graph(
            "Request Latency p50/p95/p99",
            "Quantiles of the time from the first byte of a request to the last of its answer.",
            *quantiles(names.HTTP_DURATION),
            unit=units.Seconds,
            limit=LATENCY_LIMIT,
        ),
        graph(
            "Model Inference Time p50/p95/p99",
            "Quantiles of the time that the model takes for one request.",
            *quantiles(names.MODEL_INFERENCE),
            unit=units.Seconds,
            limit=INFERENCE_LIMIT,
        ),
        graph(
            "Predictions per Outcome",
            "Predictions per second, by predicted class.",
            per_second(names.PREDICTIONS, *by_class),
            unit=units.CountsPerSecond,
        ),
    )


def quantiles(metric: names.Metric) -> tuple[Query, ...]:
    """The usual quantiles of a histogram, over all labels."""
    return tuple(
        Query(quantile(ratio, metric, *API_TARGET), f"p{round(100 * ratio)}") for ratio in QUANTILES
    )


def _trouble_panels() -> Panels:
    by_answer = (names.HTTP_ROUTE, names.HTTP_STATUS)
    failed = f'{label(names.HTTP_DURATION, names.HTTP_STATUS)}=~"4..|5.."'
    errors = rate(select(names.PREDICTION_ERRORS.prometheus, *API_TARGET))
    active = select(names.HTTP_ACTIVE.prometheus, *API_TARGET)
    return (
        graph(
            "Error Rate by Endpoint and Type",
            "Answers with 4xx or 5xx per second by route, and failed predictions by kind.",
            Query(
                sum_by(
                    names.HTTP_DURATION,
                    by_answer,
                    rate(select(HTTP_COUNT, *API_TARGET, failed)),
                ),
                legend(names.HTTP_DURATION, *by_answer),
            ),
            Query(
                sum_by(names.PREDICTION_ERRORS, (names.ERROR_TYPE,), errors),
                f"prediction: {legend(names.PREDICTION_ERRORS, names.ERROR_TYPE)}",
            ),
            unit=units.CountsPerSecond,
            limit=ERROR_RATE_LIMIT,
        ),
        graph(
            "Active Requests",
            "Requests that each replica is serving at the moment of the sample.",
            Query(
                sum_by(names.HTTP_ACTIVE, ("instance",), active),
                legend(names.HTTP_ACTIVE, "instance"),
            ),
            unit=units.Short,
            limit=ACTIVE_REQUESTS_LIMIT,
        ),
    )


def drift_panels() -> Panels:
    """What the drift job found."""
    decision = label(names.DRIFT_DECISION, names.DECISION)
    by_column = (names.COLUMN, names.METHOD)
    return (
        named(
            "Drift Decision",
            "What the last run of the drift job decided.",
            Query(
                f"max by ({decision}) ({names.DRIFT_DECISION.prometheus}) == 1",
                legend(names.DRIFT_DECISION, names.DECISION),
            ),
            colors={"NO_ACTION": GREEN, "ALERT": ORANGE, "RETRAIN": RED},
        ),
        number(
            "Time since the Last Drift Run",
            "Since the drift job last ended without an error.",
            Query(f"time() - max({names.DRIFT_LAST_COMPLETED.prometheus})", "age"),
            unit=units.Seconds,
        ),
        graph(
            "Share of Drifted Columns",
            "Share of the input columns that drifted, and the share that an alert starts from.",
            newest(names.DRIFT_RATIO, names.MODEL_VERSION),
            Query(f"max({names.DRIFT_RATIO_THRESHOLD.prometheus})", "threshold"),
            unit=units.PercentUnit,
            dashed="^threshold",
        ),
        graph(
            "Drift Score per Column",
            "Score of each column in the last window, with the thresholds of its method.",
            newest(names.DRIFT_COLUMN_SCORE, *by_column),
            newest(names.DRIFT_COLUMN_THRESHOLD, *by_column, word="threshold"),
            unit=units.Short,
            dashed="^threshold",
        ),
    )


def _pipeline_panels() -> Panels:
    return (
        graph(
            "Metric Points through the Collector",
            "Points per second that the Collector took in, passed on and failed to pass on.",
            Query(_collector_rate("receiver_accepted"), "accepted"),
            Query(_collector_rate("exporter_sent"), "sent"),
            # The Collector has no such series before its first failure.
            Query(f"{_collector_rate('exporter_send_failed')} or vector(0)", "failed"),
            unit=units.CountsPerSecond,
        ).span(THIRD),
        graph(
            "Sending Queue of the Collector",
            "Batches that wait to be sent, and how many fit.",
            Query(f"sum({foreign('otelcol_exporter_queue_size')})", "waiting"),
            Query(f"sum({foreign('otelcol_exporter_queue_capacity')})", "capacity"),
            unit=units.Short,
            dashed="^capacity",
        ).span(THIRD),
        graph(
            "Prediction Log",
            "Rows per second handed to the prediction log, by outcome.",
            per_second(names.LOG_ROWS, names.OUTCOME),
            unit=units.CountsPerSecond,
        ).span(THIRD),
    )


def _collector_rate(what: str) -> str:
    return f"sum({rate(foreign(f'otelcol_{what}_metric_points_total'))})"


def build() -> Dashboard:
    """The dashboard, ready to be encoded."""
    return assemble(
        UID,
        TITLE,
        "A monitored ML API: its status, traffic, errors, drift and telemetry.",
        (replicas(),),
        (
            ("Service", (*status_panels(), *_traffic_panels(), *_trouble_panels())),
            ("Drift", drift_panels()),
            ("Telemetry and prediction log", _pipeline_panels()),
        ),
    )
