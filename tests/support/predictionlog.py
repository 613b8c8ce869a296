"""What stands in a prediction log, asked past its own interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select
from testbed_domain.predictionlog import labels, predictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_domain.logstore import PredictionLog


def logged_ids(log: PredictionLog) -> Iterator[str]:
    """Every prediction id, streamed, in no particular order."""
    with log.engine.connect() as connection:
        yield from connection.execution_options(yield_per=10_000).scalars(select(predictions.c.id))


def label_count(log: PredictionLog) -> int:
    """Number of labels."""
    with log.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(labels)) or 0
