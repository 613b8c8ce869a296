"""Defects between the answer and the prediction log, and in the answer itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from testbed_api.serving.service import Service
from testbed_domain.logstore import PredictionLog

from testbed.selftest.patches.tools import Every, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.encoding import Scored
    from testbed_domain.features import FeatureSchema
    from testbed_domain.logrows import PredictionRow

MINUTE: Final = 60.0


def _row(change: Callable[[PredictionRow], PredictionRow], every: int = 1) -> None:
    """Change every n-th row on its way to the log; the answer stays."""
    chosen = Every(every)

    def append(original: Any, log: PredictionLog, rows: Any, **options: Any) -> Any:
        return original(log, [change(row) if chosen() else row for row in rows], **options)

    wrap(PredictionLog, "append", append)


def _numeric(row: PredictionRow) -> str:
    return next(
        name
        for name, value in row.features.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value
    )


def feature_scaled() -> None:
    """In one row of ten the first number that is not 0 is 1.5 times what was sent."""

    def change(row: PredictionRow) -> PredictionRow:
        name = _numeric(row)
        value = row.features[name]
        return row._replace(features={**row.features, name: 1.5 * float(value or 0)})

    _row(change, every=10)


def feature_lost() -> None:
    """In one row of ten a value is missing."""
    _row(lambda row: row._replace(features={**row.features, _numeric(row): None}), every=10)


def features_of_the_neighbour() -> None:
    """A row in twenty bears the features of the row before it."""
    before: dict[str, Any] = {}

    def change(row: PredictionRow) -> PredictionRow:
        features = before.get("features", row.features)
        before["features"] = row.features
        return row._replace(features=features)

    _row(change, every=20)


def class_differs() -> None:
    """In one row of fifty the log holds another class than was answered."""

    def change(row: PredictionRow) -> PredictionRow:
        other = next(name for name in row.probabilities if name != row.prediction)
        return row._replace(prediction=other)

    _row(change, every=50)


def number_scaled() -> None:
    """In one row of fifty the number is 5 % larger than was answered."""
    _row(lambda row: row._replace(prediction=str(1.05 * float(row.prediction))), every=50)


def probability_inverted() -> None:
    """The log holds 1 - p."""
    _row(lambda row: row._replace(probability=1.0 - row.probability))


def version_wrong() -> None:
    """Rows name another model version, half of them."""
    _row(lambda row: row._replace(model_version="v0-old"), every=2)


def clock_ahead() -> None:
    """The clock of the log is a minute ahead."""
    _row(lambda row: row._replace(time=row.time + MINUTE))


def rows_lost() -> None:
    """One row in a hundred is dropped, though it counts as written."""
    chosen = Every(100)

    def append(original: Any, log: PredictionLog, rows: Any, **options: Any) -> Any:
        return original(log, [row for row in rows if not chosen()], **options)

    wrap(PredictionLog, "append", append)


def rows_twice() -> None:
    """One row in a hundred is written twice, under another id."""
    chosen = Every(100)

    def append(original: Any, log: PredictionLog, rows: Any, **options: Any) -> Any:
        more = [row._replace(id=f"{row.id[:-4]}twin") for row in rows if chosen()]
        return original(log, [*rows, *more], **options)

    wrap(PredictionLog, "append", append)


def labels_flipped() -> None:
    """One label in twenty is stored as the other class."""
    chosen = Every(20)

    def flipped(label: str) -> str:
        return {"0": "1", "1": "0"}.get(label, label)

    def append(original: Any, log: PredictionLog, items: Any) -> Any:
        altered = [(key, flipped(label) if chosen() else label, at) for key, label, at in items]
        return original(log, altered)

    wrap(PredictionLog, "append_labels", append)


def answers_differ() -> None:
    """In one answer of fifty the class differs from the model's, the log's and the metrics'."""
    chosen = Every(50)

    def reply(original: Any, service: Any, served: Any, logged: Any, scored: Any) -> Any:
        answer = original(service, served, logged, scored)
        if chosen():
            classes = served.artefact.schema.classes
            answer["prediction"] = next(each for each in classes if each != answer["prediction"])
        return answer

    wrap(Service, "_reply", reply)


def _answers(change: Callable[[Scored, FeatureSchema], Scored]) -> None:
    """Change what the model says, for answer, log and metrics alike."""

    async def score(original: Any, service: Any, served: Any, rows: Any, call: Any) -> Any:
        schema = served.artefact.schema
        return [change(each, schema) for each in await original(service, served, rows, call)]

    wrap(Service, "_score", score)


def model_inverted() -> None:
    """Answer, log and metrics all say 1 - p: only the model itself can show it."""
    _answers(lambda scored, _: replace(scored, probability=1.0 - (scored.probability or 0.0)))


def model_biased() -> None:
    """Every answer is the first class, in answer, log and metrics alike."""
    _answers(lambda scored, schema: replace(scored, index=0, prediction=schema.classes[0]))
