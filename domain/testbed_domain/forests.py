"""Random forests and their ONNX export; the only place that fits and exports models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from sklearn import metrics
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from testbed_domain.encoding import INPUT, encode
from testbed_domain.errors import DomainError
from testbed_domain.onnxsession import OnnxSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.features import FeatureSchema
    from testbed_domain.use_cases import Sample

    Scores: TypeAlias = Callable[[Sample], np.ndarray[Any, Any]]
    Forest: TypeAlias = RandomForestClassifier | RandomForestRegressor

# Single precision sums of 100 trees differ by about 1e-6; a row that takes another branch in one
# tree differs by about 1e-2. Numbers differ so in parts of the target's range.
MAXIMUM_DIFFERENCE: Final = 1e-4


def _targets(schema: FeatureSchema, sample: Sample) -> np.ndarray[Any, Any]:
    """What the forest learns: numbers, or indices of classes."""
    if schema.regression:
        return np.array(sample[1], dtype=float)
    return np.array([schema.classes.index(label) for label in sample[1]])


def fit(schema: FeatureSchema, sample: Sample, state: int, trees: int, depth: int) -> Forest:
    """A random forest that has learnt the sample.

    Args:
        schema: how rows are encoded, and the classes.
        sample: rows and labels.
        state: seed of the forest, see :func:`testbed_domain.sampling.random_state`.
        trees: number of trees.
        depth: largest depth of each.
    """
    kind = RandomForestRegressor if schema.regression else RandomForestClassifier
    forest = kind(
        n_estimators=trees,
        max_depth=depth,
        min_samples_leaf=3,
        random_state=state,
        n_jobs=1,  # threads add probabilities up in any order: the last bits would vary
    )
    return forest.fit(encode(schema, sample[0]), _targets(schema, sample))


def export(forest: Forest, features: int) -> bytes:
    """The forest as ONNX, which takes so many numbers per row; equal forests give equal bytes."""
    from skl2onnx import convert_sklearn  # noqa: PLC0415 - takes a second
    from skl2onnx.common.data_types import FloatTensorType  # noqa: PLC0415 - goes with the above

    classifies = isinstance(forest, RandomForestClassifier)
    graph = convert_sklearn(
        forest,
        name="forest",  # else a random one, and with it another hash at each training
        initial_types=[(INPUT, FloatTensorType([None, features]))],
        options={id(forest): {"zipmap": False}} if classifies else None,
    )
    return bytes(graph.SerializeToString())


def scorer(model: bytes, schema: FeatureSchema) -> Scores:
    """The exported model as a function from rows to what it puts out, ``[n, outputs]``."""
    session = OnnxSession(model)

    def scores(sample: Sample) -> np.ndarray[Any, Any]:
        return session.outputs(encode(schema, sample[0]))

    return scores


def check(
    forest: Forest,
    schema: FeatureSchema,
    test: Sample,
    scores: Scores,
) -> dict[str, float]:
    """Compare the export with scikit-learn on the test split.

    Raises:
        DomainError: they disagree.
    """
    rows, answered = encode(schema, test[0]), scores(test)
    if schema.regression:
        expected = forest.predict(rows)[:, np.newaxis]
        unit, what = float(np.ptp(_targets(schema, test))) or 1.0, "a number, in its range"
        agreement = float(np.isclose(expected, answered, rtol=1e-4, atol=1e-4 * unit).mean())
    else:
        expected = forest.predict_proba(rows)
        unit, what = 1.0, "a probability"
        agreement = float((expected.argmax(axis=1) == answered.argmax(axis=1)).mean())
    difference = float(np.abs(expected - answered).max()) / unit
    if difference > MAXIMUM_DIFFERENCE:
        raise DomainError(
            f"the ONNX export differs from scikit-learn by {difference:.2g} in {what}; "
            "the model was not kept: try other --trees or --depth, and please report it"
        )
    return {"onnx_agreement": agreement, "onnx_max_difference": difference}


def measure(schema: FeatureSchema, test: Sample, scores: np.ndarray[Any, Any]) -> dict[str, float]:
    """Metrics on the test split: of the positive class, or macro means over several classes.

    Of a regression: mean absolute error, root mean square error, R² and mean error, all of the
    prediction less the label.
    """
    if schema.regression:
        true, reported = _targets(schema, test), scores[:, 0].astype(float)
        return {
            "mae": float(metrics.mean_absolute_error(true, reported)),
            "rmse": float(metrics.root_mean_squared_error(true, reported)),
            "r2": float(metrics.r2_score(true, reported)),
            "mean_error": float((reported - true).mean()),
        }
    truth, predicted = _targets(schema, test), scores.argmax(axis=1)
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
