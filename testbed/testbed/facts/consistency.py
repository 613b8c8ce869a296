"""Whether the numbers of one process agree with each other, also those that nobody else sees. Pure.

The load sees answers and waits for them. How long a commit of the prediction log took, or how many
rows a batch had, only the process knows. But a sum lies where its buckets say, what happens one by
one takes no longer than the process lived, and every batch was dispatched once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.facts.exposition import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed.facts.exposition import Page

LABELS_ROUTE: Final = "/labels"
ROUNDING: Final = 1e-6
SLACK: Final = 1.0
"""Seconds by which sums of times may exceed the life of the process, by its own clock."""

_ONE_BY_ONE: Final = (
    (names.LOG_WRITE_DURATION.prometheus, "", "commits of the prediction log"),
    (names.HTTP_DURATION.prometheus, LABELS_ROUTE, "answers to label batches"),
)
"""What happens one after another: histogram, route, and words. The load posts labels so."""


def disagreements(page: Page, lived: float) -> Iterator[str]:
    """How numbers of a page contradict each other, one line each.

    Args:
        page: the last values of one process.
        lived: seconds that it can have lived at most.
    """
    yield from _sums(page)
    route = names.label(names.HTTP_ROUTE)
    for metric, of_route, what in _ONE_BY_ONE:
        took = page.total(f"{metric}_sum", {route: of_route} if of_route else {})
        if took > lived + SLACK:
            yield (
                f"{what} took {took:.4g} s in all by {metric}, one after another, in a run of "
                f"{lived:.4g} s"
            )
    yield from _batches(page)
    yield from _states(page)


def _sums(page: Page) -> Iterator[str]:
    """Sums of histograms that do not lie where their buckets say."""
    buckets: dict[tuple[str, tuple[tuple[str, str], ...]], dict[float, float]] = defaultdict(dict)
    for (name, labels), value in page.values.items():
        if name.endswith("_bucket"):
            bound = float(dict(labels)[BUCKET])
            own = tuple(pair for pair in labels if pair[0] != BUCKET)
            buckets[name.removesuffix("_bucket"), own][bound] = value
    for (name, labels), held in buckets.items():
        total = page.values.get((f"{name}_sum", labels))
        if total is None or not held.get(math.inf):
            continue
        minimum, maximum = _range(held)
        room = ROUNDING * max(1.0, abs(total))
        if not minimum - room <= total <= maximum + room:
            between = f"between {minimum:.4g} and {maximum:.4g}"
            yield (f"the sum of {name}{_shown(labels)} is {total:.4g}, its buckets say {between}")


def _range(held: Mapping[float, float]) -> tuple[float, float]:
    """Least and most that values can sum up to; none is negative."""
    minimum = maximum = below = before = 0.0
    for bound in sorted(held):
        inside = held[bound] - before
        minimum += inside * below
        maximum += inside * bound if inside else 0.0
        below, before = bound, held[bound]
    return minimum, maximum


def _batches(page: Page) -> Iterator[str]:
    """Every batch is dispatched once, and holds the rows that the model answered."""
    size = names.BATCH_SIZE.prometheus
    batches = page.total(f"{size}_count", {})
    dispatched = page.total(names.BATCH_DISPATCHES.prometheus, {})
    if not batches and not dispatched:
        return
    if batches != dispatched:
        yield f"{dispatched:.0f} batches were dispatched, {size} has {batches:.0f}"
    if page.total(names.SHADOW_PREDICTIONS.prometheus, {}):
        return  # a challenger in the shadow has batches, and no inferences of its own
    rows, answered = (
        page.total(name, {})
        for name in (f"{size}_sum", f"{names.MODEL_INFERENCE.prometheus}_count")
    )
    # What the cache answers is in no batch.
    answered -= page.total(names.CACHE_REQUESTS.prometheus, {names.label(names.OUTCOME): "hit"})
    failed = page.total(names.PREDICTION_ERRORS.prometheus, {})
    if not answered <= rows <= answered + failed:
        yield (
            f"batches held {rows:.0f} rows by {size}, the model answered {answered:.0f} and "
            f"{failed:.0f} failed"
        )


def _states(page: Page) -> Iterator[str]:
    """Shares of the whole sum up to 1, one state holds at a time, and a model is loaded or not."""
    for metric, what in (
        (names.MODEL_TRAFFIC.prometheus, "shares of the traffic"),
        (names.LOG_STATE.prometheus, "states of the prediction log"),
    ):
        held = [value for (name, _), value in page.values.items() if name == metric]
        if held and abs(sum(held) - 1.0) > ROUNDING:
            yield f"{what} sum up to {sum(held):.4g} by {metric}, not to 1"
    for (name, labels), value in page.values.items():
        if name == names.MODEL_LOADED.prometheus and value not in {0.0, 1.0}:
            yield f"{name}{_shown(labels)} is {value:g}, neither 0 nor 1"


def _shown(labels: tuple[tuple[str, str], ...]) -> str:
    inside = ", ".join(f"{name}={value}" for name, value in labels if value)
    return f"{{{inside}}}" if inside else ""
