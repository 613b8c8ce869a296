"""Rows of the prediction log, counted and joined with the truth by their ids."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from pydantic import Field
from sqlalchemy import ColumnElement, false, func, or_, select
from testbed_domain.logengine import create_log_engine, one_line
from testbed_domain.predictionlog import labels as labels_table
from testbed_domain.predictionlog import predictions as predictions_table

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.truth import Truth

EXAMPLES: Final = 10
"""Ids that a problem names at most."""


class Ids(StoredModel):
    """How many ids have a fault, and the first few of them."""

    count: int = 0
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, ids: Iterable[str]) -> Ids:
        """Count and shorten."""
        known = sorted(ids)
        return cls(count=len(known), examples=tuple(known[:EXAMPLES]))


class LogFacts(StoredModel):
    """The prediction log, held against the truth.

    Attributes:
        rows: rows in ``predictions``.
        labels: rows in ``labels``.
        missing: predictions that were answered with 200 and have no row.
        foreign: rows that no request of the truth explains.
        duplicated: request ids with more than one row.
        unanswered: rows of requests whose answer the load never saw.
        by_instance: rows of each API instance.
    """

    rows: int
    labels: int
    missing: Ids = Ids()
    foreign: Ids = Ids()
    duplicated: Ids = Ids()
    unanswered: int = 0
    by_instance: dict[str, int] = Field(default_factory=dict)


def read_log(url: str, truth: Truth, *, since: float) -> LogFacts:
    """Count the prediction log's rows from ``since`` on and join them with the truth.

    Rows of the run's own requests count whatever time they bear: a wrong clock is another fault.

    Raises:
        LogError: the log can't be read.
    """
    engine = create_log_engine(url, create=False)
    rows, marks = predictions_table.c, labels_table.c
    own = _own_rows(truth)
    try:
        with one_line(engine.url), engine.connect() as connection:
            columns = select(rows.id, rows.request_id, rows.instance).where(
                or_(rows.time >= since, own)
            )
            found = [(row.id, row.request_id, row.instance) for row in connection.execute(columns)]
            labels = connection.scalar(
                select(func.count())
                .select_from(labels_table)
                .where(
                    or_(marks.time >= since, marks.prediction_id.in_(select(rows.id).where(own)))
                )
            )
    finally:
        engine.dispose()
    return join_log(truth, found, labels or 0)


def _own_rows(truth: Truth) -> ColumnElement[bool]:
    """Rows of requests of the run, by the prefix that all their ids have."""
    if not truth.requests:
        return false()
    prefix = truth.requests[0].request_id.rpartition("-")[0]
    return predictions_table.c.request_id.startswith(f"{prefix}-", autoescape=True)


def join_log(truth: Truth, rows: Sequence[tuple[str, str | None, str]], labels: int) -> LogFacts:
    """Hold the log's ids against the truth.

    Args:
        truth: what the load sent and saw.
        rows: prediction id, request id and API instance of each row.
        labels: number of label rows.
    """
    answered = {r.prediction_id for r in truth.requests if r.prediction_id is not None}
    sent = {r.request_id for r in truth.requests}
    stored = {prediction for prediction, _, _ in rows}
    per_request = Counter(request for _, request, _ in rows if request is not None)
    unseen = [(p, r) for p, r, _ in rows if p not in answered]
    return LogFacts(
        rows=len(rows),
        labels=labels,
        missing=Ids.of(answered - stored),
        foreign=Ids.of(p for p, r in unseen if r not in sent),
        duplicated=Ids.of(request for request, count in per_request.items() if count > 1),
        unanswered=sum(r in sent for _, r in unseen),
        by_instance=Counter(instance for _, _, instance in rows),
    )
