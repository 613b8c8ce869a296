"""Metrics: they equal the truth, and hold to the vocabulary."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from testbed_otel import names

if TYPE_CHECKING:
    from .conftest import Api

pytestmark = pytest.mark.anyio

API_METRICS = {
    names.HTTP_DURATION,
    names.HTTP_ACTIVE,
    names.MODEL_LOADED,
    names.MODEL_TRAFFIC,
    names.MODEL_INFERENCE,
    names.PREDICTIONS,
    names.PREDICTION_ERRORS,
    names.BATCH_SIZE,
    names.BATCH_DISPATCHES,
    names.DECISIONS,
    names.PREDICTION_PROBABILITY,
    names.LOG_ROWS,
    names.LOG_WRITE_DURATION,
    names.LOG_STATE,
    names.LABELS,
    names.ACCESS_LOG_LINES,
    names.TELEMETRY_OVERFLOW,
}


async def _exercise(api: Api) -> Counter[int]:
    """Answer requests of every kind; how many of each status went to /predict."""
    statuses: Counter[int] = Counter()

    async def predict(times: int, **request: object) -> None:
        for _ in range(times):
            reply = await api.public.post("/predict", **request)  # type: ignore[arg-type]
            statuses[reply.status_code] += 1

    await predict(7, json=api.row)
    await predict(5, json=api.row | {"Pregnancies": 1})
    await predict(4, json={})
    await predict(3, content=b" " * (api.settings.body_limit + 1))
    await predict(2, content=b"{}", headers={"Content-Type": "text/plain"})
    await api.management.put("/faults", json={"errors": {"ratio": 1}})
    await predict(6, json=api.row)
    await api.management.delete("/faults")
    api.log.write_error = OSError("full")
    await predict(1, json=api.row)
    api.log.write_error = None
    await api.public.post("/labels", json={"prediction_id": "a", "label": 1})
    return statuses


async def test_metrics_equal_what_was_answered(api: Api) -> None:
    """Each request is counted once, under its status, whatever the status is."""
    statuses = await _exercise(api)
    assert statuses == {200: 12, 422: 4, 413: 3, 415: 2, 500: 6, 503: 1}
    for status, count in statuses.items():
        kind = str(status) if status >= 500 else ""
        assert api.requests("/predict", status, error_type=kind) == count, status
    by_class = [
        api.value("ml_predictions_total", model_version="v1", prediction_class=label)
        for label in ("0", "1")
    ]
    assert by_class == [5, 7]
    assert sum(by_class) == len(api.log.rows) == 12
    kinds = {kind: api.errors(kind) for kind in ("validation", "injected", "log", "model")}
    assert kinds == {"validation": 9, "injected": 6, "log": 1, "model": 0}
    inferences = api.value(
        "ml_model_inference_duration_seconds_count", model_name="fake-forest", model_version="v1"
    )
    assert inferences == 13, "an injected error never reaches the model, a log failure does"
    confident = api.value(
        "ml_prediction_probability_bucket", model_version="v1", prediction_class="1", le="0.8"
    )
    assert confident == 7
    active = api.telemetry.registry.get_sample_value(
        "http_server_active_requests",
        {"http_request_method": "POST", "http_route": "/predict", "url_scheme": "http"},
    )
    assert active == 0


async def test_metrics_page_and_vocabulary_are_the_same(api: Api) -> None:
    """Every series is in the vocabulary with its attributes, and nothing of it is missing."""
    await _exercise(api)
    by_series = {series: metric for metric in API_METRICS for series in metric.prometheus_series}
    seen = set()
    page = (await api.management.get("/metrics")).text
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "target_info":
                continue
            metric = by_series[sample.name]
            allowed = {names.label(attribute): attribute for attribute in metric.attributes}
            assert set(sample.labels) - {"le"} <= set(allowed), sample.name
            closed = dict(metric.values)
            for label, value in sample.labels.items():
                if value and allowed.get(label) in closed:  # an empty label is an absent one
                    assert value in closed[allowed[label]]
            assert family.documentation == metric.help
            seen.add(metric)
    assert seen == API_METRICS


async def test_histograms_have_the_buckets_of_the_vocabulary(api: Api) -> None:
    """The buckets that rules and boards rely on are those of the vocabulary."""
    await _exercise(api)
    buckets: dict[str, set[float]] = {}
    for family in api.telemetry.registry.collect():
        for sample in family.samples:
            if sample.name.endswith("_bucket") and sample.labels["le"] != "+Inf":
                name = sample.name.removesuffix("_bucket")
                buckets.setdefault(name, set()).add(float(sample.labels["le"]))
    expected = {
        metric.prometheus: set(metric.buckets)
        for metric in API_METRICS
        if metric.kind == "histogram"
    }
    assert buckets == expected


async def test_watching_is_not_counted(api: Api) -> None:
    """Reading metrics and health changes no metric."""
    before = (await api.public.get("/metrics")).text
    for path in ("/health", "/health/live", "/health/ready", "/metrics"):
        await api.public.get(path)
        await api.management.get(path)
    assert (await api.public.get("/metrics")).text == before


async def test_metrics_come_as_prometheus_text(api: Api) -> None:
    """A scraper recognises the page by its type."""
    reply = await api.management.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
