"""Random forests and their ONNX export; the only place that fits and exports models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn import metrics
from sklearn.ensemble import RandomForestClassifier

from testbed_domain.encoding import INPUT, encode
from testbed_domain.errors import DomainError
from testbed_domain.onnxsession import OnnxSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.features import FeatureSchema
    from testbed_domain.use_cases import Sample

    Scores: TypeAlias = Callable[[Sample], np.ndarray[Any, Any]]

# Single precision sums of 100 trees differ by about 1e-6; a row that takes another branch in one
# tree differs by about 1e-2.
MAXIMUM_DIFFERENCE: Final = 1e-4


def _indices(schema: FeatureSchema, sample: Sample) -> np.ndarray[Any, Any]:
    return np.array([schema.classes.index(label) for label in sample[1]])


def fit(
    schema: FeatureSchema, sample: Sample, state: int, trees: int, depth: int
) -> RandomForestClassifier:
    """A random forest that has learnt the sample.

    Args:
        schema: how rows are encoded, and the classes.
        sample: rows and labels.
        state: seed of the forest, see :func:`testbed_domain.sampling.random_state`.
        trees: number of trees.
        depth: largest depth of each.
    """
    forest = RandomForestClassifier(
        n_estimators=trees,
        max_depth=depth,
        min_samples_leaf=3,
        random_state=state,
        n_jobs=1,  # threads add probabilities up in any order: the last bits would vary
    )
    return forest.fit(encode(schema, sample[0]), _indices(schema, sample))


def export(forest: RandomForestClassifier, features: int) -> bytes:
    """The forest as ONNX, which takes so many numbers per row; equal forests give equal bytes."""
    graph = convert_sklearn(
        forest,
        name="forest",  # else a random one, and with it another hash at each training
        initial_types=[(INPUT, FloatTensorType([None, features]))],
        options={id(forest): {"zipmap": False}},
    )
    return bytes(graph.SerializeToString())


def scorer(model: bytes, schema: FeatureSchema) -> Scores:
    """The exported model as a function from rows to probabilities, ``[n, classes]``."""
    session = OnnxSession(model)

    def scores(sample: Sample) -> np.ndarray[Any, Any]:
        return session.probabilities(encode(schema, sample[0]))

    return scores


def check(
    forest: RandomForestClassifier,
    schema: FeatureSchema,
    test: Sample,
    scores: Scores,
) -> dict[str, float]:
    """Compare the export with scikit-learn on the test split.

    Raises:
        DomainError: they disagree.
    """
    expected = forest.predict_proba(encode(schema, test[0]))
    answered = scores(test)
    difference = float(np.abs(expected - answered).max())
    if difference > MAXIMUM_DIFFERENCE:
        raise DomainError(
            f"the ONNX export differs from scikit-learn by {difference:.2g} in a probability; "
            "the model was not kept: try other --trees or --depth, and please report it"
        )
    agreement = float((expected.argmax(axis=1) == answered.argmax(axis=1)).mean())
    return {"onnx_agreement": agreement, "onnx_max_difference": difference}


def measure(schema: FeatureSchema, test: Sample, scores: np.ndarray[Any, Any]) -> dict[str, float]:
    """Metrics on the test split: of the positive class, or macro means over several classes."""
    truth, predicted = _indices(schema, test), scores.argmax(axis=1)
    probabilities = scores.astype(float).clip(0.0, 1.0)  # single precision overshoots, as in decode
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    options: dict[str, Any] = {"average": "macro", "zero_division": 0}
    if schema.positive_class is None:
        auc = metrics.roc_auc_score(truth, probabilities, multi_class="ovr")
    else:
        positive = schema.classes.index(schema.positive_class)
        options |= {"average": "binary", "pos_label": positive}
        auc = metrics.roc_auc_score(truth == positive, probabilities[:, positive])
    values = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "precision": metrics.precision_score(truth, predicted, **options),
        "recall": metrics.recall_score(truth, predicted, **options),
        "f1": metrics.f1_score(truth, predicted, **options),
        "roc_auc": auc,
        "log_loss": metrics.log_loss(truth, probabilities, labels=range(len(schema.classes))),
    }
    return {name: float(value) for name, value in values.items()}
