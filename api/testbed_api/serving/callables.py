"""A model in Python: a function, an estimator, or what makes one; its contract, held at loading.

| the object | what is done with it |
|---|---|
| takes a parameter ``artefact`` | called with it once; what it gives is the model |
| another class | called once without arguments; its instance is the model |
| has ``load()`` | that is called once before the first row |
| has ``predict_proba`` or ``predict`` | this method predicts: ``predict`` of a regression |
| another callable | predicts itself |

It gets encoded rows, float32 ``[n, width]``. Where its parameter is called ``frame``, or it was
trained on the columns of a table (``feature_names_in_``), it gets a DataFrame of these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from testbed_domain.columns import columns
from testbed_domain.encoding import column_names, width

from testbed_api.serving.contract import class_text
from testbed_api.serving.runtime import ModelError

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema

Predict: TypeAlias = Callable[[np.ndarray], Any]
ARTEFACT: Final = "artefact"
FRAME: Final = "frame"


def made_model(found: Any, artefact: Artefact, name: str) -> tuple[Predict, str]:  # noqa: ANN401 - any object
    """What an object predicts with, and that in words.

    Args:
        found: what the name stands for.
        artefact: of the model.
        name: as the user wrote it, for messages.

    Raises:
        ModelError: it is no model; one sentence that says which method must be or return what.
    """
    if _first_parameter(found) == ARTEFACT:
        made = _called(found, name, artefact)
        if made is None or not (callable(made) or _is_estimator(made)):
            raise ModelError(
                f"{name}(artefact) must return the model, a function of rows or an object with "
                f"predict, and returned {type(made).__name__}"
            )
        found, name = made, f"{name}(artefact)"
    elif inspect.isclass(found):
        found, name = _called(found, name), f"{name}()"
    if callable(load := getattr(found, "load", None)):
        _called(load, f"{name}.load")
    if _is_estimator(found):
        return of_estimator(found, artefact.schema, name)
    if not callable(found):
        raise ModelError(
            f"{name} must be a function of rows, an object with predict, or a function of the "
            f"artefact that makes one, and is {type(found).__name__}"
        )
    return _fed(found, found, artefact.schema, name), f"{name}(rows)"


def of_estimator(model: Any, schema: FeatureSchema, name: str) -> tuple[Predict, str]:  # noqa: ANN401 - of any library
    """What an object with ``predict_proba`` or ``predict`` predicts with, and that in words.

    Raises:
        ModelError: it was trained on other columns or classes.
    """
    methods = ("predict",) if schema.regression else ("predict_proba", "predict")
    method = next((each for each in methods if callable(getattr(model, each, None))), None)
    if method is None:
        raise ModelError(f"{name} must have the method predict, which a regression is asked by")
    function = _fed(getattr(model, method), model, schema, f"{name}.{method}")
    if not schema.regression:
        function = _in_order(function, model, schema, name, classes=method == "predict")
    return function, f"{name}.{method}"


def _is_estimator(found: object) -> bool:
    return any(callable(getattr(found, each, None)) for each in ("predict", "predict_proba"))


def _called(function: Any, name: str, *arguments: Any) -> Any:  # noqa: ANN401 - the user's own code
    try:
        return function(*arguments)
    except Exception as error:  # the user's own code may raise anything
        said = ARTEFACT if arguments else ""
        raise ModelError(f"{name}({said}) raised {type(error).__name__}: {error}") from error


def _first_parameter(found: Any) -> str | None:  # noqa: ANN401 - any object
    """Name of the first parameter; None where there is none, or nobody knows."""
    try:
        names = list(inspect.signature(found).parameters)
    except (TypeError, ValueError):
        return None
    return names[0].lstrip("_") if names else None


def _fed(function: Predict, model: Any, schema: FeatureSchema, name: str) -> Predict:  # noqa: ANN401 - any object
    """The function, given what it was made for, in place of encoded rows.

    Raises:
        ModelError: it was trained on other columns than there are.
    """
    trained = getattr(model, "feature_names_in_", None)
    if trained is not None:
        wanted = [str(column) for column in trained]
        if set(wanted) == set(schema.names):
            return lambda batch: function(_frame(columns(schema, batch), name)[wanted])
        if wanted == list(column_names(schema)):
            encoded = column_names(schema)
            return lambda batch: function(_frame(dict(zip(encoded, batch.T, strict=True)), name))
        raise ModelError(
            f"{name} was trained on the columns {', '.join(wanted)}; rows have "
            f"{', '.join(schema.names)}"
        )
    if _first_parameter(function) == FRAME:
        return lambda batch: function(_frame(columns(schema, batch), name))
    size = getattr(model, "n_features_in_", None)
    plain = all(feature.kind != "category" for feature in schema.features)
    if size is None or size == width(schema):
        return function
    if size == len(schema.features) and plain:
        return lambda batch: function(np.stack([*columns(schema, batch).values()], axis=1))
    raise ModelError(
        f"{name} was trained on {size} columns; rows have {len(schema.features)}, encoded "
        f"{width(schema)}: train it on a DataFrame, whose columns it is given by name"
    )


def _frame(values: dict[str, np.ndarray], name: str) -> Any:  # noqa: ANN401 - pandas is not required
    try:
        import pandas as pd  # noqa: PLC0415 - nobody else here needs it
    except ImportError:
        raise ModelError(f"{name} takes a DataFrame: install pandas beside the service") from None
    return pd.DataFrame(values)


def _in_order(
    function: Predict,
    model: Any,  # noqa: ANN401 - of any library
    schema: FeatureSchema,
    name: str,
    *,
    classes: bool,
) -> Predict:
    """The function with its classes in the order of the schema.

    Raises:
        ModelError: the model knows other classes.
    """
    if (own := getattr(model, "classes_", None)) is None:
        return function
    known = [class_text(label) for label in schema.classes]
    mine = [class_text(label) for label in own]
    if sorted(mine) == sorted(known):
        order = [mine.index(label) for label in known]
        return function if classes else lambda batch: np.asarray(function(batch))[:, order]
    if mine == [str(place) for place in range(len(known))]:  # trained on places of the classes
        if not classes:
            return function
        return lambda batch: [schema.classes[int(place)] for place in function(batch)]
    raise ModelError(
        f"{name} was trained on the classes {', '.join(mine)}; the rows' are {', '.join(known)}"
    )
