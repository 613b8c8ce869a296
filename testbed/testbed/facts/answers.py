"""The load's requests, each with the API instance and model version that answered it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from testbed_domain.logengine import create_log_engine, one_line
from testbed_domain.predictionlog import predictions as predictions_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from testbed.layout import RunLayout
    from testbed.truth import Request

OK: Final = 200


@dataclass(frozen=True, slots=True)
class LogRow:
    """What a row of the prediction log says of its origin.

    Attributes:
        instance: the API process that predicted.
        version: model version.
        time: Unix time between the prediction and its commit.
    """

    instance: str
    version: str
    time: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and its origin.

    Attributes:
        request: what the load sent and saw.
        instance: the API process that took it; None where that is unknown.
        version: model version; None where that is unknown.
        logged_at: time of its row in the log, or None.
    """

    request: Request
    instance: str | None
    version: str | None
    logged_at: float | None

    @property
    def unanswered(self) -> bool:
        """Whether it may have arrived without the load knowing what became of it."""
        return self.request.status is None and self.request.error != "connection"

    @property
    def predicted(self) -> bool:
        """Whether the load got a prediction."""
        return self.request.status == OK and self.request.prediction is not None


def read_rows(url: str, *, since: float) -> dict[str, LogRow]:
    """Request id to the first row that bears it, of the rows from ``since`` on.

    Raises:
        LogError: the log can't be read.
    """
    engine = create_log_engine(url, create=False)
    rows = predictions_table.c
    columns = (rows.request_id, rows.instance, rows.model_version, rows.time)
    try:
        with one_line(engine.url), engine.connect() as connection:
            found = connection.execute(select(*columns).where(rows.time >= since)).all()
    finally:
        engine.dispose()
    # Read backwards, so that the first row of an id is the one that stays.
    return {
        request: LogRow(instance, version, time)
        for request, instance, version, time in reversed(found)
        if request is not None
    }


def only_version(layout: RunLayout) -> str | None:
    """The model version that answered everything; None where several may have.

    The API writes its versions file as soon as another version is loaded beside the run's own.
    """
    if layout.versions.exists():
        return None
    try:
        model = json.loads(layout.run_file.read_text(encoding="utf-8"))["model"]
        return str(model["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def place(
    requests: Iterable[Request],
    rows: Mapping[str, LogRow],
    instances: Collection[str],
    version: str | None,
) -> tuple[Answer, ...]:
    """Say of each request who answered it.

    Args:
        requests: of the truth.
        rows: of the log, by request id.
        instances: every API process of the run.
        version: the only model version of the run, or None.
    """
    only = next(iter(instances)) if len(instances) == 1 else None
    found = []
    for request in requests:
        row = rows.get(request.request_id)
        found.append(
            Answer(
                request,
                only or (row.instance if row else None),
                version or (row.version if row else None),
                row.time if row else None,
            )
        )
    return tuple(found)


def unknown(answers: Sequence[Answer]) -> int:
    """Requests of which it is open who counted them, and whether."""
    return sum(
        each.unanswered or (each.predicted and (each.instance is None or each.version is None))
        for each in answers
    )


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    """How many answers the load saw under each status."""
    return Counter(a.request.status for a in answers if a.request.status is not None)
