"""Numbers of one process that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from testbed.checks.vocabulary import BUCKETS, check_vocabulary
from testbed.facts.consistency import disagreements
from testbed.facts.exposition import Page, Shape
from testbed.facts.measured import PageShapes
from testbed_otel import names

LIVED = 30.0
VERSION: tuple[tuple[str, str], ...] = (("model_version", "m"),)
INFERENCE = names.MODEL_INFERENCE.prometheus
WRITES = names.LOG_WRITE_DURATION.prometheus
SIZES = names.BATCH_SIZE.prometheus
HTTP = names.HTTP_DURATION.prometheus


def histogram(
    name: str,
    values: Iterable[float],
    bounds: tuple[float, ...],
    labels: tuple[tuple[str, str], ...] = VERSION,
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Its series."""
    held = list(values)
    found = {(f"{name}_count", labels): float(len(held)), (f"{name}_sum", labels): sum(held)}
    for bound in (*bounds, float("inf")):
        key = tuple(sorted((*labels, ("le", str(bound)))))
        found[f"{name}_bucket", key] = float(sum(value <= bound for value in held))
    return found


def page(*, sizes: Iterable[float] = (1, 1, 2), unit: float = 1.0, errors: int = 0) -> Page:
    """A process that answered four rows in three batches."""
    bounds = (0.005, 0.05, 0.5)
    return Page(
        {
            **histogram(INFERENCE, [0.001, 0.02, 0.3, 2.0], bounds),
            **histogram(WRITES, [0.02 * unit] * 3, bounds, ()),
            **histogram(HTTP, [0.02 * unit] * 3, bounds, (("http_route", "/labels"),)),
            **histogram(SIZES, sizes, (1, 2, 4)),
            (names.BATCH_DISPATCHES.prometheus, (("reason", "alone"),)): 2.0,
            (names.BATCH_DISPATCHES.prometheus, (("reason", "turn"),)): 1.0,
            (names.PREDICTION_ERRORS.prometheus, ()): float(errors),
        }
    )


def test_a_true_process_does_not_contradict_itself() -> None:
    """Not even where some rows of a batch failed."""
    assert list(disagreements(page(), LIVED)) == []
    assert list(disagreements(page(sizes=(1, 2, 2), errors=1), LIVED)) == []
    assert list(disagreements(Page(), LIVED)) == []


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (page(unit=1000.0), "commits of the prediction log took 60 s in all"),
        (page(unit=1000.0), "answers to label batches took 60 s in all"),
        (page(sizes=(8, 8, 16)), "batches held 32 rows"),
        (page(sizes=(1, 1, 1)), "batches held 3 rows"),
        (page(sizes=(1, 3)), "3 batches were dispatched, ml_batch_size has 2"),
        (
            Page(dict(page().values) | {(f"{INFERENCE}_sum", VERSION): 0.0023}),
            "the sum of ml_model_inference_duration_seconds{model_version=m} is 0.0023",
        ),
    ],
)
def test_a_contradiction_is_said(found: Page, says: str) -> None:
    """Milliseconds as seconds, other batches, a sum of another scale."""
    assert any(says in line for line in disagreements(found, LIVED))


@pytest.mark.parametrize(
    ("metric", "values", "says"),
    [
        (names.MODEL_TRAFFIC, (0.9, 0.1), ""),
        (names.MODEL_TRAFFIC, (0.5,), "shares of the traffic sum up to 0.5"),
        (names.LOG_STATE, (1.0, 0.0), ""),
        (names.LOG_STATE, (1.0, 1.0), "states of the prediction log sum up to 2"),
        (names.MODEL_LOADED, (0.0, 1.0), ""),
        (names.MODEL_LOADED, (100.0,), "ml_model_loaded{x=0} is 100, neither 0 nor 1"),
    ],
)
def test_gauges_of_states_and_shares(
    metric: names.Metric, values: tuple[float, ...], says: str
) -> None:
    """Nobody else knows them, and they have to add up."""
    held: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {
        (metric.prometheus, (("x", str(number)),)): value for number, value in enumerate(values)
    }
    found = list(disagreements(Page(held), LIVED))
    assert bool(found) is bool(says)
    assert all(says in line for line in found)


def test_what_the_cache_answers_is_in_no_batch() -> None:
    """Misses are."""
    values = dict(page(sizes=(1, 1, 1)).values)
    values[names.CACHE_REQUESTS.prometheus, (("outcome", "hit"),)] = 1.0
    values[names.CACHE_REQUESTS.prometheus, (("outcome", "miss"),)] = 3.0
    assert list(disagreements(Page(values), LIVED)) == []


def test_a_challenger_in_the_shadow_has_batches_of_its_own() -> None:
    """They hold rows that nobody was answered by it."""
    values = dict(page(sizes=(2, 2, 4)).values)
    values[names.SHADOW_PREDICTIONS.prometheus, VERSION] = 4.0
    found = Page(values)
    assert list(disagreements(found, LIVED)) == []


def test_buckets_of_the_vocabulary_are_those_of_the_verdict() -> None:
    """Who changes them says so twice."""
    for metric in names.METRICS:
        if metric.prometheus in BUCKETS:
            assert tuple(metric.buckets) == BUCKETS[metric.prometheus]


def test_buckets_that_the_vocabulary_itself_has_wrong_are_found() -> None:
    """The API takes them from there."""
    bounds = tuple(map(float, BUCKETS[INFERENCE][2:]))
    shape = Shape(name=INFERENCE, kind="histogram", bounds=bounds)
    check = check_vocabulary([PageShapes(instance="a", shapes=(shape,))])
    assert any(f"{INFERENCE} has the buckets" in line for line in (check.summary, *check.details))
