"""The telemetry vocabulary: every metric, attribute and resource that the parts may use.

Rules, dashboards, documentation and tests use only what stands here; a test holds the vocabulary
against a live scrape. Names follow the OpenTelemetry semantic conventions where those speak of the
matter (HTTP), and the same style where they don't (model, drift).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

InstrumentKind = Literal["counter", "updowncounter", "histogram", "gauge"]

SERVICE_API: Final = "ml-api"
SERVICE_DRIFT: Final = "drift-job"

# Jobs that Prometheus scrapes. The API's scrape keeps only what ``up`` and identity need.
JOB_API: Final = SERVICE_API
JOB_COLLECTOR: Final = "otel-collector"
JOB_PROMETHEUS: Final = "prometheus"
JOB_ALERTMANAGER: Final = "alertmanager"
JOB_NODE: Final = "node"

HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
URL_SCHEME: Final = "url.scheme"
ERROR_TYPE: Final = "error.type"
PROTOCOL_VERSION: Final = "network.protocol.version"
MODEL_NAME: Final = "model.name"
MODEL_VERSION: Final = "model.version"
PREDICTION_CLASS: Final = "prediction.class"
OUTCOME: Final = "outcome"
REASON: Final = "reason"
COLUMN: Final = "column"
METHOD: Final = "method"
DECISION: Final = "decision"
WINDOW: Final = "window"
KPI: Final = "kpi"
STATE: Final = "state"
API_KEY: Final = "api_key.name"
METRIC_NAME: Final = "metric"
SIGNAL: Final = "signal"
BASIS: Final = "basis"
SCORE: Final = "score"
SEGMENT: Final = "segment"
QUANTILE: Final = "quantile"
TRUE_CLASS: Final = "label.class"
CHECK: Final = "check"

# What stands for every value that a closed set lacks.
OTHER: Final = "other"
OTHER_METHOD: Final = "_OTHER"  # the semantic conventions' own word
DISCONNECT: Final = "client_disconnect"
INCOMPLETE: Final = "incomplete"
HTTP_METHODS: Final = (
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
    OTHER_METHOD,
)  # fmt: skip

# Bucket boundaries in seconds, from the semantic conventions for HTTP durations.
DURATION_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
# One row through ONNX takes tens of microseconds, so inference has finer buckets at the low end.
INFERENCE_BUCKETS: Final = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
)  # fmt: skip
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
PERFORMANCE_SCORES: Final = (
    "accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier", "ece",
)  # fmt: skip
ESTIMATED_SCORES: Final = PERFORMANCE_SCORES[:5]
QUALITY_CHECKS: Final = ("missing", "out_of_range", "new_category", "type_change", "constant")
CONFIDENCE_BUCKETS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
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

    @property
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


HTTP_DURATION: Final = Metric(
    "http.server.request.duration",
    "histogram",
    "s",
    "Duration of HTTP requests that the API served.",
    (HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS, URL_SCHEME, ERROR_TYPE, PROTOCOL_VERSION),
    values=(
        (HTTP_METHOD, HTTP_METHODS),
        (URL_SCHEME, ("http", "https", OTHER)),
        (ERROR_TYPE, (*map(str, range(500, 600)), DISCONNECT, INCOMPLETE, OTHER)),
        (PROTOCOL_VERSION, ("1.0", "1.1", "2", "3", OTHER)),
    ),
    buckets=DURATION_BUCKETS,
)
HTTP_ACTIVE: Final = Metric(
    "http.server.active_requests",
    "updowncounter",
    "{request}",
    "HTTP requests that are being served.",
    (HTTP_METHOD, HTTP_ROUTE, URL_SCHEME),
    values=((HTTP_METHOD, HTTP_METHODS), (URL_SCHEME, ("http", "https", OTHER))),
)
MODEL_LOADED: Final = Metric(
    "ml.model.loaded",
    "gauge",
    "{model}",
    "1 while the model is loaded and warmed up, else 0.",
    (MODEL_NAME, MODEL_VERSION),
)
MODEL_INFERENCE: Final = Metric(
    "ml.model.inference.duration",
    "histogram",
    "s",
    "Time from a validated request to the model's answer, injected latency included.",
    (MODEL_NAME, MODEL_VERSION),
    buckets=INFERENCE_BUCKETS,
)
MODEL_TRAFFIC: Final = Metric(
    "ml.model.traffic.share",
    "gauge",
    "{share}",
    "Share of the prediction requests that a model version answers, 0 to 1.",
    (MODEL_VERSION,),
)
BATCH_WAIT: Final = Metric(
    "ml.batch.queue.wait",
    "histogram",
    "s",
    "Time that a request waited for its batch to be handed to the model.",
    (MODEL_VERSION,),
    buckets=INFERENCE_BUCKETS,
)
BATCH_SIZE: Final = Metric(
    "ml.batch.size",
    "histogram",
    "{row}",
    "Rows of one batch of requests that the model answered together.",
    (MODEL_VERSION,),
    buckets=BATCH_BUCKETS,
)
BATCH_DISPATCHES: Final = Metric(
    "ml.batch.dispatches",
    "counter",
    "{batch}",
    "Batches handed to the model, by reason.",
    (MODEL_VERSION, REASON),
    values=((REASON, ("alone", "size", "time", "deadline")),),
)
SHADOW_PREDICTIONS: Final = Metric(
    "ml.shadow.predictions",
    "counter",
    "{prediction}",
    "Predictions that a challenger made in the champion's shadow, by agreement with it.",
    (MODEL_VERSION, OUTCOME),
    values=((OUTCOME, ("agreed", "disagreed", "failed", "dropped")),),
)
CACHE_REQUESTS: Final = Metric(
    "ml.cache.requests",
    "counter",
    "{request}",
    "Predictions looked up in the response cache, by outcome.",
    (MODEL_VERSION, OUTCOME),
    values=((OUTCOME, ("hit", "miss")),),
)
PREDICTIONS: Final = Metric(
    "ml.predictions",
    "counter",
    "{prediction}",
    "Predictions made, by predicted class.",
    (MODEL_VERSION, PREDICTION_CLASS),
)
PREDICTION_ERRORS: Final = Metric(
    "ml.prediction.errors",
    "counter",
    "{error}",
    "Prediction requests that failed, by kind.",
    (ERROR_TYPE,),
    values=(
        (
            ERROR_TYPE,
            (
                "validation",
                "injected",
                "model",
                "not_ready",
                "log",
                "shed",
                "deadline",
                "cancelled",
                "other",
            ),
        ),
    ),
)
PREDICTION_PROBABILITY: Final = Metric(
    "ml.prediction.probability",
    "histogram",
    "{probability}",
    "Probability of the predicted class.",
    (MODEL_VERSION, PREDICTION_CLASS),
    buckets=CONFIDENCE_BUCKETS,
)
LOG_ROWS: Final = Metric(
    "ml.prediction_log.rows",
    "counter",
    "{row}",
    "Rows handed to the prediction log, by outcome.",
    (OUTCOME,),
    values=((OUTCOME, ("written", "failed", "dropped")),),
)
LOG_SPOOLED: Final = Metric(
    "ml.prediction_log.spooled",
    "gauge",
    "{row}",
    "Rows that wait in the spool of this replica for the prediction log to come back.",
)
LOG_STATE: Final = Metric(
    "ml.prediction_log.state",
    "gauge",
    "{state}",
    "1 for what happens to rows of the prediction log now, 0 for the others.",
    (STATE,),
    values=((STATE, ("writing", "spooling", "failing")),),
)
LOG_WRITE_DURATION: Final = Metric(
    "ml.prediction_log.write.duration",
    "histogram",
    "s",
    "Duration of one group commit of the prediction log.",
    buckets=DURATION_BUCKETS,
)
LABELS: Final = Metric(
    "ml.labels",
    "counter",
    "{label}",
    "Delayed labels received, by outcome.",
    (OUTCOME,),
    values=((OUTCOME, ("stored", "duplicate", "unknown")),),
)
DECISIONS: Final = Metric(
    "ml.decisions.evaluated",
    "counter",
    "{decision}",
    "Predictions whose label has come, by whether they were right.",
    (MODEL_VERSION, OUTCOME),
    values=((OUTCOME, ("correct", "wrong")),),
)
MODEL_ACCURACY: Final = Metric(
    "ml.model.accuracy",
    "gauge",
    "{share}",
    "Share of right predictions among all whose label this replica has got, 0 to 1.",
    (MODEL_VERSION,),
)
BUSINESS_COST: Final = Metric(
    "ml.business.cost",
    "counter",
    "{cost}",
    "Cost of decisions by business figure, in the figure's own unit, counted as labels come.",
    (MODEL_VERSION, KPI),
)
API_KEY_REQUESTS: Final = Metric(
    "ml.api_key.requests",
    "counter",
    "{request}",
    "Requests to routes that need an API key, by the key's name and what was decided.",
    (API_KEY, OUTCOME),
    values=((OUTCOME, ("accepted", "limited", "refused")),),
)
REPLICA_STARTS: Final = Metric(
    "ml.replica.starts",
    "counter",
    "{start}",
    "Starts of API processes, 1 from each: its first, after a crash, or when asked to restart.",
    (REASON,),
    values=((REASON, ("first", "crash", "restart")),),
)
DRIFT_COLUMN_SCORE: Final = Metric(
    "ml.data_drift.column_score",
    "gauge",
    "{score}",
    "Drift score of one column; its direction depends on the method.",
    (MODEL_VERSION, COLUMN, METHOD),
)
DRIFT_COLUMN_THRESHOLD: Final = Metric(
    "ml.data_drift.column_threshold",
    "gauge",
    "{score}",
    "Threshold that the column's score is compared with.",
    (MODEL_VERSION, COLUMN, METHOD),
)
DRIFT_COLUMN_DETECTED: Final = Metric(
    "ml.data_drift.column_detected",
    "gauge",
    "{column}",
    "1 where the last window of this column drifted, else 0.",
    (MODEL_VERSION, COLUMN),
)
DRIFT_DETECTIONS: Final = Metric(
    "ml.data_drift.detections",
    "counter",
    "{window}",
    "Windows in which this column drifted.",
    (MODEL_VERSION, COLUMN),
)
DRIFT_SHARE: Final = Metric(
    "ml.data_drift.share",
    "gauge",
    "{share}",
    "Share of drifted columns in the last window, 0 to 1.",
    (MODEL_VERSION,),
)
DRIFT_SHARE_THRESHOLD: Final = Metric(
    "ml.data_drift.share_threshold",
    "gauge",
    "{share}",
    "Share of drifted columns from which the decision is no longer NO_ACTION.",
    (MODEL_VERSION,),
)
TARGET_DRIFT: Final = Metric(
    "ml.target_drift.score",
    "gauge",
    "{score}",
    "Drift score of the target, where labels have come.",
    (MODEL_VERSION, METHOD),
)
PREDICTION_DRIFT: Final = Metric(
    "ml.prediction_drift.score",
    "gauge",
    "{score}",
    "Drift score of the predicted class.",
    (MODEL_VERSION, METHOD),
)
DRIFT_DECISION: Final = Metric(
    "ml.drift.decision",
    "gauge",
    "{decision}",
    "1 for the decision of the last run, 0 for the others.",
    (MODEL_VERSION, DECISION),
    values=((DECISION, ("NO_ACTION", "ALERT", "RETRAIN")),),
)
DRIFT_WINDOW_ROWS: Final = Metric(
    "ml.drift.window.rows",
    "gauge",
    "{row}",
    "Rows of the windows that the last run compared.",
    (MODEL_VERSION, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)
DRIFT_RUNS: Final = Metric(
    "ml.drift.job.runs",
    "counter",
    "{run}",
    "Runs of the drift job, by outcome.",
    (OUTCOME,),
    values=((OUTCOME, ("success", "insufficient_data", "error")),),
)
DRIFT_RUN_DURATION: Final = Metric(
    "ml.drift.job.run.duration",
    "gauge",
    "s",
    "Duration of the last run of the drift job.",
)
DRIFT_LAST_RUN: Final = Metric(
    "ml.drift.job.last_run.timestamp",
    "gauge",
    "s",
    "Unix time at which the last run of that outcome ended.",
    (OUTCOME,),
    values=((OUTCOME, ("success", "insufficient_data", "error")),),
)
DRIFT_LAST_COMPLETED: Final = Metric(
    "ml.drift.job.last_completed.timestamp",
    "gauge",
    "s",
    "Unix time at which the drift job last ended without an error.",
)
TRACKING_RUNS: Final = Metric(
    "ml.tracking.runs",
    "counter",
    "{run}",
    "Runs of the drift job and challengers that a tracking server was to log: skipped while it is "
    "left alone after a failure.",
    (OUTCOME,),
    values=((OUTCOME, ("logged", "failed", "skipped")),),
)
PERFORMANCE_SCORE: Final = Metric(
    "ml.performance.score",
    "gauge",
    "{score}",
    "Score of the model: in the reference, realised by the labels of the last window, or estimated "
    "for it without labels.",
    (MODEL_VERSION, BASIS, SCORE),
    values=((BASIS, ("reference", "realised", "estimated")), (SCORE, PERFORMANCE_SCORES)),
)
PERFORMANCE_ESTIMATE_ERROR: Final = Metric(
    "ml.performance.estimate.error",
    "gauge",
    "{score}",
    "Standard error of the accuracy that labels of the last window will show beside the estimate.",
    (MODEL_VERSION,),
)
PERFORMANCE_SEGMENT_SCORE: Final = Metric(
    "ml.performance.segment.score",
    "gauge",
    "{score}",
    "Score realised by the labels of the last window, by segment of its rows.",
    (MODEL_VERSION, SEGMENT, SCORE),
    values=((SCORE, PERFORMANCE_SCORES),),
)
PERFORMANCE_CONFUSION: Final = Metric(
    "ml.performance.confusion",
    "gauge",
    "{row}",
    "Labelled rows of the last window by true and by predicted class.",
    (MODEL_VERSION, TRUE_CLASS, PREDICTION_CLASS),
)
PERFORMANCE_STATE: Final = Metric(
    "ml.performance.state",
    "gauge",
    "{state}",
    "1 for what the labels of the last window allow to say, 0 for the others.",
    (MODEL_VERSION, STATE),
    values=((STATE, ("measured", "one_class", "no_labels", "empty")),),
)
LABEL_COVERAGE: Final = Metric(
    "ml.labels.coverage",
    "gauge",
    "{share}",
    "Share of the last window's rows whose label has come, 0 to 1.",
    (MODEL_VERSION,),
)
LABEL_DELAY: Final = Metric(
    "ml.labels.delay",
    "gauge",
    "s",
    "Time from prediction to label in the last window, over the labels that have come.",
    (MODEL_VERSION, QUANTILE),
    values=((QUANTILE, ("0.5", "0.95")),),
)
CONCEPT_SCORE: Final = Metric(
    "ml.concept_drift.score",
    "gauge",
    "{score}",
    "Rise of the model's error among labelled rows, or its p-value, by method.",
    (MODEL_VERSION, METHOD),
)
CONCEPT_THRESHOLD: Final = Metric(
    "ml.concept_drift.threshold",
    "gauge",
    "{score}",
    "Threshold that the method's score is compared with.",
    (MODEL_VERSION, METHOD),
)
CONCEPT_DETECTED: Final = Metric(
    "ml.concept_drift.detected",
    "gauge",
    "{window}",
    "1 where labels of the last window show more errors than the inputs explain, else 0.",
    (MODEL_VERSION,),
)
QUALITY_COLUMN: Final = Metric(
    "ml.data_quality.column",
    "gauge",
    "{share}",
    "Share of the last window's rows in which this column fails a check; constant: 1 or 0.",
    (MODEL_VERSION, COLUMN, CHECK),
    values=((CHECK, QUALITY_CHECKS),),
)
QUALITY_DUPLICATED: Final = Metric(
    "ml.data_quality.duplicated",
    "gauge",
    "{share}",
    "Share of rows that repeat an earlier one of the same window in every column, 0 to 1.",
    (MODEL_VERSION, WINDOW),
    values=((WINDOW, ("reference", "current")),),
)

ACCESS_LOG_LINES: Final = Metric(
    "telemetry.access_log.lines",
    "counter",
    "{line}",
    "Lines of the access log, by outcome.",
    (OUTCOME,),
    values=((OUTCOME, ("written", "failed")),),
)
TELEMETRY_OVERFLOW: Final = Metric(
    "telemetry.series.overflow",
    "counter",
    "{measurement}",
    "Measurements beyond a metric's series limit, which count without their attributes.",
    (METRIC_NAME,),
)

TELEMETRY_EXPORTS: Final = Metric(
    "telemetry.exports",
    "counter",
    "{export}",
    "Exports of metrics that this process began, the one that carries this value included.",
)
TELEMETRY_EXPORT_POINTS: Final = Metric(
    "telemetry.export.points",
    "counter",
    "{point}",
    "Metric points in those exports, the points of the one that carries this value included.",
)
TELEMETRY_EXPORT_FAILED: Final = Metric(
    "telemetry.export.failed",
    "counter",
    "{item}",
    "Spans, metric points and log records of failed exports; some may have arrived all the same.",
    (SIGNAL,),
    values=((SIGNAL, ("traces", "metrics", "logs")),),
)
TELEMETRY_EXPORT_FAILURES: Final = Metric(
    "telemetry.export.failures",
    "counter",
    "{export}",
    "Exports that failed, by what they held.",
    (SIGNAL,),
    values=((SIGNAL, ("traces", "metrics", "logs")),),
)

METRICS: Final = tuple(value for value in list(vars().values()) if isinstance(value, Metric))

# Series of other programs that rules, dashboards and checks use.
FOREIGN_SERIES: Final = (
    "up",
    "ALERTS",
    "ALERTS_FOR_STATE",
    "target_info",
    "scrape_samples_scraped",
    "otelcol_receiver_accepted_metric_points_total",
    "otelcol_receiver_refused_metric_points_total",
    "otelcol_exporter_sent_metric_points_total",
    "otelcol_exporter_send_failed_metric_points_total",
    "otelcol_exporter_enqueue_failed_metric_points_total",
    "otelcol_receiver_accepted_spans_total",
    "otelcol_receiver_refused_spans_total",
    "otelcol_exporter_sent_spans_total",
    "otelcol_exporter_send_failed_spans_total",
    "otelcol_exporter_enqueue_failed_spans_total",
    "otelcol_receiver_accepted_log_records_total",
    "otelcol_receiver_refused_log_records_total",
    "otelcol_exporter_sent_log_records_total",
    "otelcol_process_uptime_seconds_total",
    "otelcol_exporter_queue_size",
    "otelcol_exporter_queue_capacity",
    # The SDK's metrics about itself: what it made, what waits, what it sent and what it lost.
    "otel_sdk_span_started_total",
    "otel_sdk_span_live",
    "otel_sdk_processor_span_processed_total",
    "otel_sdk_processor_span_queue_size",
    "otel_sdk_processor_span_queue_capacity",
    "otel_sdk_exporter_span_exported_total",
    "otel_sdk_exporter_span_inflight",
    "otel_sdk_log_created_total",
    "otel_sdk_processor_log_processed_total",
    "otel_sdk_processor_log_queue_size",
    "otel_sdk_processor_log_queue_capacity",
    "otel_sdk_exporter_log_exported_total",
    "otel_sdk_exporter_log_inflight",
    "otel_sdk_exporter_metric_data_point_exported_total",
    "otel_sdk_exporter_metric_data_point_inflight",
    "otel_sdk_exporter_operation_duration_seconds_bucket",
    "otel_sdk_exporter_operation_duration_seconds_sum",
    "otel_sdk_exporter_operation_duration_seconds_count",
    "otel_sdk_metric_reader_collection_duration_seconds_bucket",
    "otel_sdk_metric_reader_collection_duration_seconds_sum",
    "otel_sdk_metric_reader_collection_duration_seconds_count",
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total",
    # Containers, by cAdvisor: under Compose only.
    "container_cpu_usage_seconds_total",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
    "container_fs_reads_bytes_total",
    "container_fs_writes_bytes_total",
    "container_last_seen",
    "container_start_time_seconds",
    "process_resident_memory_bytes",
)
