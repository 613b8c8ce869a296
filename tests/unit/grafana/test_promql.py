"""PromQL is built from the vocabulary: what it doesn't hold is refused."""

from __future__ import annotations

import pytest
from testbed_grafana import promql
from testbed_otel import names


def test_quantile_of_histogram() -> None:
    """A quantile sums the buckets' rates over everything but the bucket limit."""
    assert promql.quantile(0.95, names.MODEL_INFERENCE, 'job="x"') == (
        "histogram_quantile(0.95, sum by (le) "
        '(rate(ml_model_inference_duration_seconds_bucket{job="x"}[$__rate_interval])))'
    )


def test_quantile_of_counter_is_refused() -> None:
    """Only a histogram has quantiles."""
    with pytest.raises(ValueError, match="not a histogram"):
        promql.quantile(0.5, names.PREDICTIONS)


def test_quantile_per_attribute() -> None:
    """The attributes stand beside the bucket limit."""
    expr = promql.quantile_by(0.5, names.PREDICTION_PROBABILITY, (names.PREDICTION_CLASS,))
    assert expr == (
        "histogram_quantile(0.5, sum by (le, prediction_class) "
        "(rate(ml_prediction_probability_bucket[$__rate_interval])))"
    )


def test_mean_of_histogram() -> None:
    """Sum by count, each over the same labels."""
    assert promql.mean(names.HTTP_DURATION, (names.HTTP_ROUTE,), 'job="x"') == (
        "sum by (http_route) "
        '(rate(http_server_request_duration_seconds_sum{job="x"}[$__rate_interval]))'
        " / sum by (http_route) "
        '(rate(http_server_request_duration_seconds_count{job="x"}[$__rate_interval]))'
    )
    with pytest.raises(ValueError, match="not a histogram"):
        promql.mean(names.PREDICTIONS, ())


def test_failed_share_is_zero_without_failures() -> None:
    """A status that never was has no series, which must not look like no data."""
    assert promql.failed_ratio(names.HTTP_DURATION, "5..") == (
        "(sum(rate(http_server_request_duration_seconds_count"
        '{http_response_status_code=~"5.."}[$__rate_interval])) or vector(0))'
        " / sum(rate(http_server_request_duration_seconds_count[$__rate_interval]))"
    )


def test_unknown_attribute_is_refused() -> None:
    """A label that the metric doesn't carry can't get into a query or a legend."""
    with pytest.raises(ValueError, match="no attribute"):
        promql.sum_by(names.PREDICTIONS, (names.HTTP_ROUTE,), "x")
    with pytest.raises(ValueError, match="no attribute"):
        promql.legend(names.PREDICTIONS, names.HTTP_ROUTE)


def test_target_labels_are_known() -> None:
    """Prometheus's own labels need no attribute."""
    assert promql.legend(names.PREDICTIONS, "instance") == "{{instance}}"


def test_unknown_foreign_series_is_refused() -> None:
    """A series of another program must stand in the vocabulary."""
    with pytest.raises(ValueError, match="FOREIGN_SERIES"):
        promql.foreign("otelcol_made_up_total")


def test_select_without_matchers() -> None:
    """No matchers, no braces."""
    assert promql.select("up") == "up"
    assert promql.select("up", 'job="a"', 'instance="b"') == 'up{job="a",instance="b"}'


def test_matcher_of_a_value() -> None:
    """A value, or a pattern of values, of an attribute that the metric carries."""
    assert promql.equals(names.RETRAINING_RUNS, names.OUTCOME, "failed") == 'outcome="failed"'
    assert promql.equals(names.PREDICTIONS, names.MODEL_VERSION, "7") == 'model_version="7"'
    assert promql.like(names.CONCEPT_SCORE, names.METHOD, ".*_rise") == 'method=~".*_rise"'


def test_matcher_of_a_value_that_never_is_is_refused() -> None:
    """A panel of it would stay empty for ever."""
    with pytest.raises(ValueError, match="never outcome="):
        promql.equals(names.RETRAINING_RUNS, names.OUTCOME, "successful")
    with pytest.raises(ValueError, match="no attribute"):
        promql.equals(names.RETRAINING_RUNS, names.COLUMN, "x")


def test_rate_of_the_chosen_replicas() -> None:
    """The API's target and further matchers stand in the selector."""
    assert promql.rate_by(names.DECISIONS, (names.MODEL_VERSION,), 'outcome="correct"') == (
        f"sum by (model_version) (rate({names.DECISIONS.prometheus}"
        '{job="ml-api",instance=~"$instance",outcome="correct"}[$__rate_interval]))'
    )
