"""One row of the prediction log against the request that it is about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from testbed.facts.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from testbed.facts.logrows import LoggedPrediction
    from testbed.truth import Request

SAME: Final = 1e-6
"""Two numbers of one prediction: both are written in full, so only the last digits may differ."""

SKEW: Final = 0.25
"""Seconds between the clocks of load and service: both run on one machine, which may correct its
time while the load's clock runs on steadily."""

COLUMN, REPLY_CLASS, REPLY_PROBABILITY = "column", "reply class", "reply probability"
MAX_PROBABLE, OF_CLASS, PROBABILITIES = "most probable", "of class", "probabilities"
REPLY_NUMBER, NUMBER = "reply number", "number"
IDENTITY, CLOCK = "identity", "clock"
MILLISECONDS: Final = "milliseconds"


class RowCheck:
    """Holds rows of the log against what was sent and answered.

    Args:
        findings: gets what differs.
        classes: that probabilities must be of, as texts; empty where that is unknown.
        models: names and versions of models that may have answered; empty where unknown.
        regression: whether predictions are numbers, without probabilities.
        instances: service instances of the run; empty where unknown.
        ended_at: Unix time at which the log was read.

    Attributes:
        columns: findings about features.
        differing: requests whose row holds other features than were sent, and these.
    """

    def __init__(
        self,
        findings: Findings,
        *,
        classes: Collection[str],
        models: Collection[tuple[str, str]],
        instances: Collection[str],
        ended_at: float,
        regression: bool = False,
    ) -> None:
        self._findings = findings
        self.columns = Findings()
        self.differing: list[tuple[Request, Mapping[str, Any]]] = []
        self._classes = frozenset(classes)
        self._models = frozenset(models)
        self._instances = frozenset(instances)
        self._ended_at = ended_at
        self._regression = regression

    def __call__(self, row: LoggedPrediction, request: Request) -> None:
        """Look at one row."""
        if row.features != request.features and self._columns(row.features, request):
            self.differing.append((request, row.features))
        self._answer(row, request)
        self._own_numbers(row)
        self._identity(row, request)
        self._time(row, request)

    def _columns(self, stored: Mapping[str, Any], request: Request) -> bool:
        """Whether a column differs; each that does is a finding."""
        sent = request.features
        differing = False
        for name in {**sent, **stored}:
            both = name in sent and name in stored
            if not both or not same_value(stored[name], sent[name]):
                shown = f"sent {_shown(sent, name)}, stored {_shown(stored, name)}"
                self.columns.add(COLUMN, f"{request.request_id}: {shown}", subject=name)
                differing = True
        return differing

    def _answer(self, row: LoggedPrediction, request: Request) -> None:
        if request.prediction_id is None:
            return
        which = request.request_id
        if row.prediction != str(request.prediction):
            example = f"{which}: answered {request.prediction}, stored {row.prediction}"
            self._findings.add(REPLY_NUMBER if self._regression else REPLY_CLASS, example)
        reported = request.probability
        if reported is not None and not _close(row.probability, reported):
            example = f"{which}: answered {reported:.4f}, stored {row.probability}"
            self._findings.add(REPLY_PROBABILITY, example)

    def _own_numbers(self, row: LoggedPrediction) -> None:
        which = row.request_id or row.id
        numbers = row.probabilities
        if self._regression:
            if numbers or row.probability or not _is_number(row.prediction):
                example = f"{which}: {row.prediction}, {row.probability}, {_short(numbers)}"
                self._findings.add(NUMBER, example)
            return
        if (
            not numbers
            or not all(isinstance(each, int | float) for each in numbers.values())
            or (self._classes and self._classes != numbers.keys())
            or not _close(sum(numbers.values()), 1.0, 1e-5)
        ):
            self._findings.add(PROBABILITIES, f"{which}: {_short(numbers)}")
            return
        own = numbers.get(row.prediction)
        if own is None or own < max(numbers.values()) - SAME:
            example = f"{which}: stored class {row.prediction} of {_short(numbers)}"
            self._findings.add(MAX_PROBABLE, example)
        elif not _close(row.probability, own):
            example = f"{which}: stored {row.probability} for {row.prediction} of {_short(numbers)}"
            self._findings.add(OF_CLASS, example)

    def _identity(self, row: LoggedPrediction, request: Request) -> None:
        which = request.request_id
        if self._models and (row.model_name, row.model_version) not in self._models:
            example = f"{which}: {row.model_name} {row.model_version}"
            self._findings.add(IDENTITY, example, subject="model")
        if self._instances and row.instance not in self._instances:
            self._findings.add(IDENTITY, f"{which}: {row.instance}", subject="instance")
        if request.prediction_id is not None and row.id != request.prediction_id:
            example = f"{which}: answered {request.prediction_id}, stored {row.id}"
            self._findings.add(IDENTITY, example, subject="prediction id")

    def _time(self, row: LoggedPrediction, request: Request) -> None:
        # Of a request that the load gave up the service may have been busy for longer.
        last = self._ended_at if request.status is None else request.finished_at
        if request.sent_at - SKEW <= row.time <= last + SKEW:
            return
        middle = (request.sent_at + request.finished_at) / 2
        example = f"{request.request_id}: sent at {request.sent_at:.3f}, stored {row.time:.3f}"
        thousandth = request.sent_at - SKEW <= row.time / 1000 <= last + SKEW
        subject = MILLISECONDS if thousandth else ""
        self._findings.add(CLOCK, example, subject=subject, offset=row.time - middle)


def same_value(one: object, other: object) -> bool:
    """Whether two values of a column are the same, whichever kind of number they are."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _close(one: object, other: float, tolerance: float = SAME) -> bool:
    return isinstance(one, int | float) and abs(one - other) <= tolerance


def _shown(row: Mapping[str, Any], name: str) -> str:
    return str(row[name]) if name in row else "nothing"


def _short(numbers: Mapping[str, Any]) -> str:
    shown = ", ".join(
        f"{label} {value:.4f}" if isinstance(value, float) else f"{label} {value}"
        for label, value in list(numbers.items())[:4]
    )
    return shown or "no probabilities"
