"""Metrics of the API: HTTP, model, predictions, log and labels."""

from __future__ import annotations

from typing import Final

from testbed_otel.names.attributes import (
    API_KEY,
    BATCH_BUCKETS,
    CONFIDENCE_BUCKETS,
    DISCONNECT,
    DURATION_BUCKETS,
    ERROR_TYPE,
    HTTP_METHOD,
    HTTP_METHODS,
    HTTP_ROUTE,
    HTTP_STATUS,
    INCOMPLETE,
    INFERENCE_BUCKETS,
    KPI,
    MODEL_NAME,
    MODEL_VERSION,
    NUMBER_BUCKETS,
    OTHER,
    OUTCOME,
    PREDICTION_CLASS,
    PROTOCOL_VERSION,
    REASON,
    STATE,
    URL_SCHEME,
)
from testbed_otel.names.metric import Metric

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
    "1 while the model is loaded and warmed up, else 0; a version that left has no value.",
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
    "ml.model.traffic.ratio",
    "gauge",
    "{ratio}",
    "Ratio of the prediction requests that a model version answers, 0 to 1.",
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
    values=((REASON, ("alone", "turn", "size", "time", "deadline")),),
)
SHADOW_PREDICTIONS: Final = Metric(
    "ml.shadow.predictions",
    "counter",
    "{prediction}",
    "Predictions that a challenger made in the champion's shadow, by agreement with it; numbers "
    "agree within 1 %.",
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
    "Predictions made, by predicted class; a regression's have none.",
    (MODEL_VERSION, PREDICTION_CLASS),
)
PREDICTION_ERRORS: Final = Metric(
    "ml.prediction.errors",
    "counter",
    "{error}",
    "Prediction requests that failed, by kind and the version that they were for.",
    (MODEL_VERSION, ERROR_TYPE),
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
PREDICTION_VALUE: Final = Metric(
    "ml.prediction.value",
    "histogram",
    "{value}",
    "Predicted number, of a regression; negative ones share the first bucket.",
    (MODEL_VERSION,),
    buckets=NUMBER_BUCKETS,
)
PREDICTION_ABSOLUTE_ERROR: Final = Metric(
    "ml.prediction.absolute_error",
    "histogram",
    "{value}",
    "Distance of the predicted number from the true one, of a regression, as labels come.",
    (MODEL_VERSION,),
    buckets=NUMBER_BUCKETS,
)
LOG_ROWS: Final = Metric(
    "ml.prediction_log.rows",
    "counter",
    "{row}",
    "Rows handed to the prediction log, by outcome.",
    (OUTCOME,),
    values=((OUTCOME, ("written", "failed", "dropped", "damaged")),),
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
    "Predictions of a class whose label has come, by whether they were right.",
    (MODEL_VERSION, OUTCOME),
    values=((OUTCOME, ("correct", "wrong")),),
)
MODEL_ACCURACY: Final = Metric(
    "ml.model.accuracy",
    "gauge",
    "{ratio}",
    "Ratio of right predictions among all whose label this replica has got, 0 to 1.",
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
