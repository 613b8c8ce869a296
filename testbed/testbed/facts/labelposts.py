"""Which label the load posted when: found again from the truth, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from pydantic import Field
from testbed_load.labels import DelayedLabels
from testbed_load.plan import LabelPlan

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from testbed.scenario import Labels
    from testbed.truth import PostedLabels, Request, Truth

ROUNDING: Final = 1e-3
"""Seconds."""


class LabelPosts(StoredModel):
    """Labels as the load posted them, against what the scenario says.

    Attributes:
        answered: predictions that were answered, so that their label could come.
        due: of these, the ones whose label is among the chosen share.
        posted: labels in all batches.
        refused: of these, the ones in batches that the service did not take.
        early: labels posted before their delay was over, while the load still ran.
        late: median of the seconds by which labels were posted later than their delay.
        takes_labels: whether the service takes labels at all.
        refusals: status, or that there was none, to the number of labels refused so.
    """

    answered: int = 0
    due: int = 0
    posted: int = 0
    refused: int = 0
    early: int = 0
    late: float = 0.0
    takes_labels: bool = True
    refusals: Mapping[str, int] = Field({})


@dataclass(frozen=True, slots=True)
class Posting:
    """The label of one request and the batch that it went out with; None: it never did."""

    request: Request
    batch: PostedLabels | None


def postings(truth: Truth, labels: Labels, seed: int) -> list[Posting]:
    """The labels that must come, in the order in which predictions were answered."""
    choice = DelayedLabels(LabelPlan(labels.ratio), seed)
    chosen = [r for r in truth.requests if r.prediction_id is not None and choice.chosen(r.seq)]
    batches = {seq: batch for batch in truth.labels for seq in batch.seqs}
    return [Posting(request, batches.get(request.seq)) for request in chosen]


def label_posts(
    truth: Truth, found: list[Posting], delay: float, *, takes_labels: bool = True
) -> LabelPosts:
    """How the load posted them.

    Args:
        truth: of the load.
        found: by :func:`postings`.
        delay: real seconds between an answer and its label.
        takes_labels: whether the service takes labels at all.
    """
    # At its end the load posts what is left, delay or not: each of its processes once its own last
    # answer is there, when others may still wait for theirs.
    last = max((request.scheduled_at for request in truth.requests), default=0.0)
    waits = [
        posting.batch.sent_at - posting.request.finished_at - delay
        for posting in found
        if posting.batch is not None and posting.batch.sent_at < last
    ]
    return LabelPosts(
        answered=sum(request.prediction_id is not None for request in truth.requests),
        due=len(found),
        posted=sum(batch.count for batch in truth.labels),
        refused=sum(batch.count for batch in truth.labels if not taken(batch)),
        early=sum(wait < -ROUNDING for wait in waits),
        late=median(waits) if waits else 0.0,
        takes_labels=takes_labels,
        refusals=_refusals(truth),
    )


def _refusals(truth: Truth) -> dict[str, int]:
    found: Counter[str] = Counter()
    for batch in truth.labels:
        if not taken(batch):
            found["no answer" if batch.status is None else f"status {batch.status}"] += batch.count
    return dict(sorted(found.items()))


def taken(batch: PostedLabels | None) -> bool:
    """Whether the service took the batch."""
    return batch is not None and batch.status is not None and 200 <= batch.status < 300  # noqa: PLR2004 - HTTP's successes
