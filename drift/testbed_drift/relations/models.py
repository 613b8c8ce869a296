"""A model as a function of coded columns: the served one, or one that stands in for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self

import numpy as np
from testbed_domain.encoding import column_names, encode
from testbed_domain.errors import DomainError

from testbed_drift.relations.classifiers import Learnt, LearntNumbers, folds, out_of_fold
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.rows.frames import is_numeric
from testbed_drift.scoring.matrices import Coding

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema, Row

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.statistics.base import Floats

Basis = Literal["model", "surrogate"]
# Fewer predictions teach a surrogate too little.
MIN_ROWS: Final = 200
_FOLDS: Final = 3


class ModelLoadError(DomainError):
    """The served model can't be loaded here."""


class ScoringModel(Protocol):
    """What contributions are asked of."""

    @property
    def basis(self) -> Basis:
        """``model`` for the served one, ``surrogate`` for one that learnt its predictions."""

    @property
    def fidelity(self) -> float | None:
        """How well a surrogate foretells predictions, 0 to 1; None for the served one.

        Of classes it is the share that it foretells, of numbers R², no less than 0.
        """

    @property
    def places(self) -> Mapping[str, tuple[int, ...]]:
        """Feature to its columns in :meth:`coded`."""

    def coded(self, frame: pd.DataFrame) -> Floats:
        """Rows of a window as the model takes them; rows that it would refuse are left out."""

    def probabilities(self, coded: Floats) -> Floats:
        """Chance of every class, ``[rows, classes]``, or the predicted number, ``[rows, 1]``."""


class OnnxModel:
    """The ONNX model of an artefact, on one thread.

    Args:
        artefact: verified, see :func:`testbed_domain.artefact.load_artefact`.

    Raises:
        ModelLoadError: the model can't be loaded.
    """

    basis: Basis = "model"
    fidelity: float | None = None

    def __init__(self, artefact: Artefact) -> None:
        from testbed_domain.onnxsession import OnnxSession  # noqa: PLC0415 - slow, seldom wanted

        self._schema = artefact.schema
        try:
            self._session = OnnxSession(artefact.model_file, schema=artefact.schema)
        except Exception as error:  # its errors share no base class below Exception
            raise ModelLoadError(f"cannot load {artefact.model_file}: {error}") from error
        self.places = _places(self._schema)

    def coded(self, frame: pd.DataFrame) -> Floats:
        """See :meth:`ScoringModel.coded`."""
        names = list(self._schema.names)
        plain = frame[names].astype(object)
        found = plain.where(plain.notna(), None).to_dict("records")
        rows: list[Row] = [{str(name): value for name, value in row.items()} for row in found]
        try:
            return np.asarray(encode(self._schema, rows))
        except DomainError:
            return np.concatenate(
                [np.empty((0, sum(map(len, self.places.values()))), np.float32)]
                + [one for row in rows if (one := self._one(row)) is not None]
            )

    def probabilities(self, coded: Floats) -> Floats:
        """See :meth:`ScoringModel.probabilities`."""
        predicted = self._session.outputs(coded.astype(np.float32))
        return np.asarray(predicted, dtype=float)

    def _one(self, row: Row) -> Floats | None:
        try:
            return np.asarray(encode(self._schema, [row]))
        except DomainError:
            return None


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A light model that learnt the predictions of the reference, for a model that is not at hand.

    Attributes:
        coding: of the features.
        learnt: the light model.
        fidelity: how well it foretold the reference's predictions of rows which it had not seen,
            see :attr:`Model.fidelity`. Where it is low, its contributions say little of the model.
    """

    coding: Coding
    learnt: Learnt | LearntNumbers
    fidelity: float | None
    basis: Basis = "surrogate"

    @classmethod
    def learn(
        cls, reference: pd.DataFrame, kinds: Mapping[str, ColumnKind], seed: int = 0
    ) -> Self | None:
        """Learn from a reference; None where it holds too few predictions, or all are the same.

        Args:
            reference: rows as :func:`testbed_drift.rows.frames.declare` makes them.
            kinds: feature columns and kinds.
            seed: of the folds and the model.
        """
        predicted = reference[reference[PREDICTION].notna()]
        if is_numeric(predicted[PREDICTION]):
            return cls._of_numbers(predicted, kinds, seed)
        _, label, count = np.unique(
            predicted[PREDICTION].astype(str), return_inverse=True, return_counts=True
        )
        if len(predicted) < MIN_ROWS or (count >= _FOLDS).sum() < 2:  # noqa: PLR2004 - two classes
            return None
        coding = Coding.learn(predicted, kinds)
        rows = coding(predicted)
        fold = folds(label, _FOLDS, np.random.default_rng(seed))
        foretold = out_of_fold(rows, label, coding.categorical, fold, seed).argmax(axis=1)
        learnt = Learnt.of(rows, label, coding.categorical, seed)
        return cls(coding, learnt, float((foretold == label).mean()))

    @classmethod
    def _of_numbers(
        cls, predicted: pd.DataFrame, kinds: Mapping[str, ColumnKind], seed: int
    ) -> Self | None:
        numbers = predicted[PREDICTION].to_numpy(dtype=float)
        if len(predicted) < MIN_ROWS or numbers.min() == numbers.max():
            return None
        coding = Coding.learn(predicted, kinds)
        rows = coding(predicted)
        fold = np.random.default_rng(seed).permutation(np.arange(len(rows)) % _FOLDS)
        missed = np.empty(len(rows))
        for number in range(_FOLDS):
            here = fold == number
            learnt = LearntNumbers.of(rows[~here], numbers[~here], coding.categorical, seed)
            missed[here] = numbers[here] - learnt.chances(rows[here])[:, 0]
        explained = 1 - (missed**2).mean() / numbers.var()
        learnt = LearntNumbers.of(rows, numbers, coding.categorical, seed)
        return cls(coding, learnt, max(float(explained), 0.0))

    @property
    def places(self) -> Mapping[str, tuple[int, ...]]:
        """See :meth:`ScoringModel.places`."""
        return {name: (index,) for index, name in enumerate(self.coding.places)}

    def coded(self, frame: pd.DataFrame) -> Floats:
        """See :meth:`ScoringModel.coded`."""
        return self.coding(frame)

    def probabilities(self, coded: Floats) -> Floats:
        """See :meth:`ScoringModel.probabilities`."""
        return self.learnt.chances(coded)


def _places(schema: FeatureSchema) -> dict[str, tuple[int, ...]]:
    places = {}
    first = 0
    for feature in schema.features:
        width = len(column_names(replace(schema, features=(feature,))))
        places[feature.name] = tuple(range(first, first + width))
        first += width
    return places
