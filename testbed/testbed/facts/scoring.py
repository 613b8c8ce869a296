"""The model's own answers to the rows that the load sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from testbed_domain.encoding import Encoder
from testbed_domain.errors import DomainError
from testbed_domain.onnxsession import OnnxSession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Value

    from testbed.facts.findings import Findings
    from testbed.truth import Request

TOLERANCE: Final = 1e-5
"""Between two scorings of a row: batches of other sizes sum in another order, in float32."""

MODEL_CLASS: Final = "model class"
MODEL_PROBABILITY: Final = "model probability"
MODEL_NUMBER: Final = "model number"
INVERTED: Final = "inverted"


class Scorer:
    """A model that scores rows as they were sent.

    Args:
        artefact: of the model.
    """

    def __init__(self, artefact: Artefact) -> None:
        self.classes = [str(label) for label in artefact.schema.classes]
        self.regression = artefact.schema.regression
        self._encode = Encoder(artefact.schema)
        self._session = OnnxSession(artefact.model_file, schema=artefact.schema)

    def __call__(self, rows: Sequence[Mapping[str, Value]]) -> np.ndarray:
        """Probabilities ``[rows, classes]``, or numbers ``[rows, 1]``.

        Raises:
            DomainError: a row doesn't fit the artefact's schema.
        """
        found = self._session.outputs(self._encode(rows))
        return np.asarray(found if self.regression else found.clip(0.0, 1.0))


def wrong_answers(
    scorer: Scorer, requests: Sequence[Request], rows: Sequence[Mapping[str, Value]]
) -> np.ndarray:
    """Which requests were answered otherwise than the model answers these rows.

    Raises:
        DomainError: a row doesn't fit the artefact's schema.
    """
    if scorer.regression:
        return _far_numbers(requests, scorer(rows)[:, 0])
    return ScoredAnswers.of(scorer, requests, rows).wrong


def _far_numbers(requests: Sequence[Request], own: np.ndarray) -> np.ndarray:
    reported = np.array([_reported_number(request) for request in requests])
    return np.asarray(~np.isclose(reported, own, rtol=TOLERANCE, atol=TOLERANCE))


def _reported_number(request: Request) -> float:
    reported = request.prediction
    return float(reported) if isinstance(reported, int | float) else np.nan


@dataclass(frozen=True)
class ScoredAnswers:
    """Answers beside the model's own; every array has one place for each request.

    Attributes:
        scores: probabilities by the model, ``[requests, classes]``.
        own: the model's probability of the class that was answered; NaN where it is none.
        reported: the probability that was answered; NaN where there is none.
    """

    scores: np.ndarray
    own: np.ndarray
    reported: np.ndarray

    @classmethod
    def of(
        cls, scorer: Scorer, requests: Sequence[Request], rows: Sequence[Mapping[str, Value]]
    ) -> ScoredAnswers:
        """Answers to requests beside what the model says of rows.

        Raises:
            DomainError: a row doesn't fit the artefact's schema.
        """
        scores = scorer(rows)
        places = {label: place for place, label in enumerate(scorer.classes)}
        given = np.array([places.get(str(request.prediction), -1) for request in requests])
        reported = [np.nan if r.probability is None else r.probability for r in requests]
        own = np.where(given < 0, np.nan, scores[np.arange(len(given)), given])
        return cls(scores, own, np.array(reported, float))

    @property
    def wrong_class(self) -> np.ndarray:
        """Where another class was answered; of equally probable ones, either is right."""
        return np.asarray(~(self.own >= self.scores.max(axis=1) - TOLERANCE))

    @property
    def wrong_probability(self) -> np.ndarray:
        """Where another probability was answered for the class."""
        far = ~(np.abs(self.reported - self.own) <= TOLERANCE)
        return np.asarray(far & ~np.isnan(self.own))

    @property
    def wrong(self) -> np.ndarray:
        """Where either is so."""
        return np.asarray(self.wrong_class | self.wrong_probability)


def hold_against_model(scorer: Scorer, requests: Sequence[Request], findings: Findings) -> None:
    """Find the answers that the model doesn't give.

    Args:
        scorer: the model that served them.
        requests: with an answer each.
        findings: gets what differs.

    Raises:
        DomainError: a row doesn't fit the artefact's schema.
    """
    if not requests:
        return
    if scorer.regression:
        own = scorer([request.features for request in requests])[:, 0]
        for place in np.flatnonzero(_far_numbers(requests, own)).tolist():
            request = requests[place]
            findings.add(
                MODEL_NUMBER,
                f"{request.request_id}: answered {request.prediction}, the model says "
                f"{own[place]:.6g}",
            )
        return
    answers = ScoredAnswers.of(scorer, requests, [request.features for request in requests])
    inverted = np.abs(1.0 - answers.reported - answers.own) <= TOLERANCE
    best = answers.scores.argmax(axis=1)
    for place in np.flatnonzero(answers.wrong_class).tolist():
        request, right = requests[place], int(best[place])
        findings.add(
            MODEL_CLASS,
            f"{request.request_id}: answered {request.prediction}, the model says "
            f"{scorer.classes[right]} with {answers.scores[place, right]:.3f}",
        )
    for place in np.flatnonzero(answers.wrong_probability).tolist():
        request = requests[place]
        findings.add(
            MODEL_PROBABILITY,
            f"{request.request_id}: answered {_number(request.probability)} for "
            f"{request.prediction}, the model says {answers.own[place]:.4f}",
            subject=INVERTED if inverted[place] else "",
        )


def answered_by_log(
    scorer: Scorer, requests: Sequence[Request], stored: Sequence[Mapping[str, Value]]
) -> bool:
    """Whether answers fit the features in the log, and not those of the truth, which differ.

    Then it is not the log that is damaged: the service got what it stored.

    Args:
        scorer: the model that served them.
        requests: with an answer each, whose row in the log holds other features.
        stored: these features.
    """
    try:
        by_truth = wrong_answers(scorer, requests, [request.features for request in requests])
        by_log = wrong_answers(scorer, requests, stored)
    except DomainError:  # what is stored is no row of this schema
        return False
    return bool((by_truth & ~by_log).sum() > (by_log & ~by_truth).sum())


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
