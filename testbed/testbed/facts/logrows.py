"""The rows of the prediction log that a run wrote, streamed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from sqlalchemy import Text, cast, select
from testbed_domain.jsonlines import parse_line
from testbed_domain.logengine import create_log_engine, one_line
from testbed_domain.predictionlog import labels, predictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

CHUNK: Final = 2000


class LoggedPrediction(NamedTuple):
    """One row of ``predictions``; what holds no JSON object is an empty one."""

    id: str
    time: float
    request_id: str | None
    instance: str
    model_name: str
    model_version: str
    features: dict[str, Any]
    prediction: str
    probability: float
    probabilities: dict[str, Any]


class LoggedLabel(NamedTuple):
    """One row of ``labels``."""

    prediction_id: str
    label: str
    time: float


class RunLogReader:
    """Reads what one run wrote into a prediction log.

    A row belongs to the run by its request id, not by its time, so that a wrong clock hides none.

    Args:
        url: SQLAlchemy URL.
        run_id: prefix of the run's request ids.
    """

    def __init__(self, url: str, run_id: str) -> None:
        self._engine: Engine = create_log_engine(url, create=False)
        self._own = predictions.c.request_id.startswith(f"{run_id}-", autoescape=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def predictions(self) -> Iterator[LoggedPrediction]:
        """Every prediction.

        Raises:
            LogError: the log can't be read.
        """
        columns = predictions.c
        # As text: parsed here once, whatever the driver would make of JSON.
        query = select(
            columns.id,
            columns.time,
            columns.request_id,
            columns.instance,
            columns.model_name,
            columns.model_version,
            cast(columns.features, Text),
            columns.prediction,
            columns.probability,
            cast(columns.probabilities, Text),
        ).where(self._own)
        with one_line(self._engine.url), self._engine.connect() as connection:
            found = connection.execution_options(yield_per=CHUNK).execute(query)
            for row in found:
                yield _prediction(*row)

    def labels(self) -> Iterator[LoggedLabel]:
        """Every label of these predictions.

        Raises:
            LogError: the log can't be read.
        """
        columns = labels.c
        both = labels.join(predictions, columns.prediction_id == predictions.c.id)
        query = (
            select(columns.prediction_id, columns.label, columns.time)
            .select_from(both)
            .where(self._own)
        )
        with one_line(self._engine.url), self._engine.connect() as connection:
            found = connection.execution_options(yield_per=CHUNK).execute(query)
            for row in found:
                yield LoggedLabel(row[0], row[1], _real(row[2]))


def _prediction(  # noqa: PLR0913, PLR0917 - the columns of the table
    id_: str,
    time: object,
    request_id: str | None,
    instance: str,
    name: str,
    version: str,
    features: str | None,
    prediction: str,
    probability: object,
    probabilities: str | None,
) -> LoggedPrediction:
    return LoggedPrediction(
        id_,
        _real(time),
        request_id,
        instance,
        name,
        version,
        _object(features),
        prediction,
        _real(probability),
        _object(probabilities),
    )


def _real(value: object) -> float:
    """A number of the log; NaN, which equals nothing, for what a damaged column may hold."""
    return float(value) if isinstance(value, int | float) else math.nan


def _object(text: str | None) -> dict[str, Any]:
    try:
        content = parse_line(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
