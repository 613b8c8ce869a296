"""Counters of a stack that has answered before: the run's own are what they grew by."""

from __future__ import annotations

from testbed.clients.prometheus import Series
from testbed.facts.baseline import Baseline
from testbed.facts.exposition import read_page
from testbed.facts.finalcounts import parse_counters

PAGE = """\
# TYPE ml_predictions_total counter
ml_predictions_total{{model_version="1",prediction_class="no",reason=""}} {predictions}
# TYPE ml_replica_starts_total counter
ml_replica_starts_total{{reason="first"}} 1
# TYPE ml_model_loaded gauge
ml_model_loaded{{model_version="1"}} {loaded}
# TYPE ml_model_inference_duration_seconds histogram
ml_model_inference_duration_seconds_bucket{{le="0.1"}} {predictions}
ml_model_inference_duration_seconds_bucket{{le="+Inf"}} {predictions}
ml_model_inference_duration_seconds_count {predictions}
ml_model_inference_duration_seconds_sum {seconds}
"""
BEFORE = PAGE.format(predictions=40, loaded=1, seconds=2.5)
AFTER = PAGE.format(predictions=100, loaded=1, seconds=4.0)


def test_counters_and_histograms_are_taken_off_and_gauges_are_not() -> None:
    """An instance that was not there before has counted for the run alone."""
    baseline = Baseline.of({"api-a": BEFORE, "api-gone": None})
    after, _ = read_page(AFTER)
    page = baseline.page("api-a", after)
    assert page.total("ml_predictions_total", {}) == 60
    assert page.total("ml_model_inference_duration_seconds_bucket", {"le": "+Inf"}) == 60
    assert page.total("ml_model_inference_duration_seconds_sum", {}) == 1.5
    assert page.total("ml_model_loaded", {}) == 1
    assert page.total("ml_replica_starts_total", {}) == 1
    assert baseline.page("api-b", after).values == after.values


def test_counts_are_what_they_grew_by() -> None:
    """But starts of replicas, which belong to the stack."""
    grown = Baseline.of({"api-a": BEFORE}).grown("api-a", parse_counters(AFTER))
    assert {count.metric: count.value for count in grown} == {
        "ml_predictions_total": 60,
        "ml_replica_starts_total": 1,
    }


def test_series_of_prometheus_are_those_of_the_page() -> None:
    """Whatever labels it adds, and though it has no empty ones."""
    labels = {"__name__": "ml_predictions_total", "job": "ml-api", "instance": "api-a"}
    own = {"model_version": "1", "prediction_class": "no"}
    series = [
        Series({**labels, **own}, ((1.0, 40.0), (2.0, 75.0))),
        Series({**labels, **own, "instance": "api-b"}, ((2.0, 75.0),)),
    ]
    found = Baseline.of({"api-a": BEFORE}).series(series)
    assert [one.points for one in found] == [((1.0, 0.0), (2.0, 35.0)), ((2.0, 75.0),)]
