"""The model's own answers to the rows that the load sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from testbed_domain.encoding import Encoder
from testbed_domain.onnxsession import OnnxSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.artefact import Artefact

    from testbed.facts.findings import Findings
    from testbed.truth import Request

TOLERANCE: Final = 1e-5
"""Between two scorings of a row: batches of other sizes sum in another order, in float32."""

MODEL_CLASS: Final = "model class"
MODEL_PROBABILITY: Final = "model probability"
INVERTED: Final = "inverted"


class Scorer:
    """A model that scores rows as they were sent.

    Args:
        artefact: of the model.
    """

    def __init__(self, artefact: Artefact) -> None:
        self._encode = Encoder(artefact.schema)
        self._session = OnnxSession(artefact.model_file)

    def __call__(self, requests: Sequence[Request]) -> np.ndarray:
        """Probabilities ``[requests, classes]``.

        Raises:
            DomainError: a row doesn't fit the artefact's schema.
        """
        batch = self._encode([request.features for request in requests])
        return np.asarray(self._session.probabilities(batch).clip(0.0, 1.0))


def hold_against_model(artefact: Artefact, requests: Sequence[Request], findings: Findings) -> None:
    """Find the answers that the model doesn't give.

    Args:
        artefact: the model that served them.
        requests: with an answer each.
        findings: gets what differs.

    Raises:
        DomainError: a row doesn't fit the artefact's schema.
    """
    if not requests:
        return
    scores = Scorer(artefact)(requests)
    classes = [str(label) for label in artefact.schema.classes]
    places = {label: place for place, label in enumerate(classes)}
    given = np.array([places.get(str(request.prediction), -1) for request in requests])
    told = np.array([np.nan if r.probability is None else r.probability for r in requests])
    own = np.where(given < 0, np.nan, scores[np.arange(len(given)), given])
    wrong_class = ~(own >= scores.max(axis=1) - TOLERANCE)  # of equals, either may come first
    wrong_probability = ~(np.abs(told - own) <= TOLERANCE) & ~np.isnan(own)
    inverted = wrong_probability & (np.abs(1.0 - told - own) <= TOLERANCE)
    best = scores.argmax(axis=1)
    for place in np.flatnonzero(wrong_class).tolist():
        request, right = requests[place], int(best[place])
        findings.add(
            MODEL_CLASS,
            f"{request.request_id}: answered {request.prediction}, the model says "
            f"{classes[right]} with {scores[place, right]:.3f}",
        )
    for place in np.flatnonzero(wrong_probability).tolist():
        request = requests[place]
        findings.add(
            MODEL_PROBABILITY,
            f"{request.request_id}: answered {_number(request.probability)} for "
            f"{request.prediction}, the model says {own[place]:.4f}",
            subject=INVERTED if inverted[place] else "",
        )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
