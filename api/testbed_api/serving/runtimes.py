"""The runtimes beside ONNX: scikit-learn by skops, a Python callable, an MLflow model.

Each imports its library when it loads, so that nobody pays for what he doesn't use.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from testbed_domain.artefact import SKOPS

from testbed_api.errors import PREFIX, SettingsError
from testbed_api.serving.runtime import ModelError, OnnxRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.artefact import Artefact

    from testbed_api.serving.runtime import ModelRuntime
    from testbed_api.settings import ApiSettings

    Predict = Callable[[np.ndarray], Any]

ENTRY_POINTS: Final = "testbed.models"
"""Group of entry points: each takes an artefact and returns a function from rows to answers."""

# What a forest needs beyond the types that skops trusts itself.
TRUSTED: Final = ("sklearn.tree._tree.Tree",)
LABELS: Final = 1  # dimensions of an answer that holds classes in place of probabilities


def runtime_maker(settings: ApiSettings) -> Callable[[Artefact], ModelRuntime]:
    """What makes the runtime of an artefact, as the settings say.

    Raises:
        SettingsError: the runtime needs a model's name, and there is none.
    """
    if settings.runtime == "scikit-learn":
        return partial(SkopsRuntime, threads=settings.threads)
    if settings.runtime == "onnx":
        return partial(OnnxRuntime, threads=settings.threads)
    if not settings.model:
        raise SettingsError(f"{PREFIX}MODEL: the runtime {settings.runtime} needs it")
    if settings.runtime == "python":
        return partial(CallableRuntime, name=settings.model)
    return partial(MlflowRuntime, uri=settings.model)


class _PythonRuntime:
    """What the three have in common: one function, made at loading, checked and called.

    A function that predicts inline and in batches is called from one thread at a time, but not
    always from the same one.
    """

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._function: Predict | None = None

    def load(self) -> None:
        """See :meth:`testbed_api.serving.runtime.ModelRuntime.load`."""
        self._function = self._make()
        try:
            self.predict(np.zeros((2, len(self._artefact.schema.features)), np.float32))
        except ModelError:
            raise
        except Exception as error:  # the model may raise anything
            raise ModelError(f"the model cannot predict: {error}") from error

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """See :meth:`testbed_api.serving.runtime.ModelRuntime.predict`."""
        if self._function is None:
            raise ModelError("the model is not loaded yet")
        answer = np.asarray(self._function(batch))
        as_schema = _numbers if self._artefact.schema.regression else _probabilities
        return as_schema(self._artefact, answer, len(batch))

    def _make(self) -> Predict:
        raise NotImplementedError


def _numbers(_artefact: Artefact, found: np.ndarray, rows: int) -> np.ndarray:
    """An answer as numbers ``[rows, 1]``.

    Raises:
        ModelError: it has another shape, or holds no numbers.
    """
    if found.shape not in {(rows,), (rows, 1)} or found.dtype.kind not in "fiu":
        raise ModelError(
            f"the model answers {rows} rows with {found.shape} of {found.dtype}, not with one "
            "number each"
        )
    return found.astype(float).reshape(rows, 1)


def _probabilities(artefact: Artefact, found: np.ndarray, rows: int) -> np.ndarray:
    """An answer as probabilities ``[rows, classes]``; classes alone become 0 and 1.

    Raises:
        ModelError: it has another shape, or holds a class that the schema doesn't.
    """
    classes = artefact.schema.classes
    if found.ndim == LABELS and len(found) == rows:
        known = np.array(classes)
        hits = found[:, None].astype(known.dtype) == known[None, :]
        if not hits.any(axis=1).all():
            raise ModelError("the model answers with a class that its schema doesn't have")
        return np.asarray(hits, np.float32)
    if found.shape != (rows, len(classes)):
        raise ModelError(
            f"the model answers {rows} rows with {found.shape}, not with the probabilities of "
            f"{len(classes)} classes"
        )
    return np.asarray(found, np.float32)


class SkopsRuntime(_PythonRuntime):
    """A scikit-learn model, loaded by skops from bytes that have the artefact's hash."""

    def __init__(self, artefact: Artefact, threads: int = 1) -> None:
        super().__init__(artefact)
        self._threads = threads

    def _make(self) -> Predict:
        try:
            data = (self._artefact.path / SKOPS).read_bytes()
        except OSError:
            raise ModelError(f"{self._artefact.path} has no {SKOPS}: train with --skops") from None
        # The very bytes that are loaded are hashed: a file could change in between.
        if hashlib.sha256(data).hexdigest() != self._artefact.files.get(SKOPS):
            raise ModelError(f"{SKOPS} differs from its hash in the artefact; train again")
        try:
            from skops import io  # noqa: PLC0415 - takes seconds that only this runtime needs
            from threadpoolctl import threadpool_limits  # noqa: PLC0415 - goes with the above
        except ImportError:
            raise ModelError(
                "scikit-learn models need their extra: pip install 'testbed-api[scikit-learn]'"
            ) from None
        try:
            unknown = set(io.get_untrusted_types(data=data)) - set(TRUSTED)
            model: Any = None if unknown else io.loads(data, trusted=list(TRUSTED))
        except Exception as error:  # a damaged file raises whatever it runs into
            raise ModelError(f"cannot load {SKOPS}: {error}") from error
        if unknown:
            raise ModelError(f"{SKOPS} holds types that are not trusted: {sorted(unknown)}")
        threadpool_limits(self._threads)
        if hasattr(model, "n_jobs"):
            model.n_jobs = self._threads
        regression = self._artefact.schema.regression
        predict: Predict = model.predict if regression else model.predict_proba
        return predict


class CallableRuntime(_PythonRuntime):
    """A Python function: the entry point of that name, or ``package.module:function``."""

    def __init__(self, artefact: Artefact, name: str) -> None:
        super().__init__(artefact)
        self._name = name

    def _make(self) -> Predict:
        found = next(iter(entry_points(group=ENTRY_POINTS, name=self._name)), None)
        if found is None and ":" not in self._name:
            raise ModelError(
                f"no entry point {self._name!r} in {ENTRY_POINTS}, and no package.module:function"
            )
        point = found or EntryPoint(self._name, self._name, ENTRY_POINTS)
        try:
            made: Predict = point.load()(self._artefact)
        except Exception as error:  # the user's own code
            raise ModelError(f"cannot load {self._name}: {error}") from error
        return made


class MlflowRuntime(_PythonRuntime):
    """An MLflow model by its URI, through its pyfunc flavour."""

    def __init__(self, artefact: Artefact, uri: str) -> None:
        super().__init__(artefact)
        self._uri = uri

    def _make(self) -> Predict:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else it sends usage data
        try:
            from mlflow import pyfunc  # noqa: PLC0415 - takes seconds that only this needs
        except ImportError:
            raise ModelError(
                "MLflow models need their extra: pip install 'testbed-api[mlflow]'"
            ) from None
        try:
            model = pyfunc.load_model(self._uri)
        except Exception as error:  # network, registry, environment
            raise ModelError(f"cannot load {self._uri}: {error}") from error
        return partial(_ask_mlflow, model, model.metadata.get_input_schema(), self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        return self._artefact.schema.names


def _ask_mlflow(model: Any, inputs: Any, names: tuple[str, ...], batch: np.ndarray) -> Any:  # noqa: ANN401 - MLflow's types are not published
    """Rows as the model's signature wants them: columns by name, or one tensor."""
    if inputs is None or inputs.is_tensor_spec():
        return model.predict(batch)
    types = {column.name: column.type.to_numpy() for column in inputs.inputs}
    return model.predict(
        {name: batch[:, i].astype(types.get(name, np.float32)) for i, name in enumerate(names)}
    )
