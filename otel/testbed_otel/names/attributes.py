"""Services, attributes, and the values and buckets that metrics share."""

from __future__ import annotations

from typing import Final

SERVICE_API: Final = "ml-api"
SERVICE_DRIFT: Final = "drift-job"
SERVICE_LOAD: Final = "testbed-load"

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
# Of spans: the id by which the caller knows the request, a list as all headers are.
REQUEST_ID: Final = "http.request.header.x_request_id"
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
# Of every series in a file of metrics: which job wrote it.
DRIFT_JOB: Final = "drift.job"
# Of the resource: what tables are compared with.
DRIFT_REFERENCE: Final = "ml.drift.reference"

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
CLASS_SCORES: Final = (
    "accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier", "ece",
)  # fmt: skip
NUMBER_SCORES: Final = ("mae", "rmse", "r2", "mean_error")
PERFORMANCE_SCORES: Final = (*CLASS_SCORES, *NUMBER_SCORES)
ESTIMATED_CLASS_SCORES: Final = CLASS_SCORES[:5]
ESTIMATED_SCORES: Final = (*ESTIMATED_CLASS_SCORES, NUMBER_SCORES[0])
# Of champion and challenger of a training, by what they predict.
TRIAL_CLASS_SCORES: Final = ("accuracy", "log_loss")
TRIAL_NUMBER_SCORES: Final = ("mae", "rmse")
QUALITY_CHECKS: Final = ("missing", "out_of_range", "new_category", "type_change", "constant")
# Nobody knows what a regression predicts, so its buckets are coarse and go far: three a decade. All
# numbers below 0 share the first one: a histogram with negative buckets has no sum in Prometheus.
NUMBER_BUCKETS: Final = (
    0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0,
    1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6,
)  # fmt: skip
CONFIDENCE_BUCKETS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
CAUSE: Final = "cause"
ROLE: Final = "role"
# Of the newest labelled rows and of all; those of residuals belong to regressions.
CONCEPT_METHODS: Final = tuple(
    f"{rows}_{method}"
    for rows in ("newest", "all")
    for method in (
        "error_test", "error_rise", "residual_test", "residual_rise",
        "residuals_ks", "residuals_wasserstein",
    )
)  # fmt: skip
RELATION_METHODS: Final = (
    "correlation_test", "correlation_change", "domain_test", "domain_auc",
    "label_relation_test", "label_relation_change",
)  # fmt: skip
