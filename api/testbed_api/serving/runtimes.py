"""The runtimes beside ONNX: scikit-learn by skops, a Python callable, an MLflow model.

Each imports its library when it loads, so that nobody pays for what he doesn't use.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.artefact import SKOPS
from testbed_domain.columns import columns, example_batch

from testbed_api.errors import PREFIX, SettingsError
from testbed_api.options import ENTRY_POINTS
from testbed_api.serving.callables import made_model, of_estimator
from testbed_api.serving.contract import require_answer
from testbed_api.serving.runtime import ModelError, OnnxRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema

    from testbed_api.serving.callables import Predict
    from testbed_api.serving.runtime import ModelRuntime
    from testbed_api.settings import ApiSettings

# Beyond the types that skops trusts itself: numpy's types of numbers, and classes of scikit-learn,
# whose loading sets attributes and checks their sizes. Trees of neighbours, which take memory as it
# comes, are not among them, nor are functions.
_NUMBERS: Final = "numpy.dtype"
_CLASSES: Final = "sklearn."
_NEIGHBOURS: Final = "sklearn.neighbors."


def _is_trusted(name: str) -> bool:
    """Whether a type of a skops file may be loaded."""
    if name == _NUMBERS:
        return True
    if not name.startswith(_CLASSES) or name.startswith(_NEIGHBOURS):
        return False
    module, _, attribute = name.rpartition(".")
    try:
        return isinstance(getattr(import_module(module), attribute), type)
    except (ImportError, AttributeError):
        return False


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
        self._who = "the model"

    def load(self) -> None:
        """See :meth:`testbed_api.serving.runtime.ModelRuntime.load`."""
        self._function, self._who = self._make()
        try:
            self.predict(example_batch(self._artefact.schema, 2))
        except ModelError:
            raise
        except Exception as error:  # the model may raise anything
            raise ModelError(
                f"the model cannot predict: {self._who} raised {type(error).__name__}: {error}"
            ) from error

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """See :meth:`testbed_api.serving.runtime.ModelRuntime.predict`."""
        if self._function is None:
            raise ModelError("the model is not loaded yet")
        answer = self._function(batch)
        return require_answer(self._artefact.schema, answer, len(batch), self._who)

    def _make(self) -> tuple[Predict, str]:
        """What predicts, and that in words."""
        raise NotImplementedError


class SkopsRuntime(_PythonRuntime):
    """A scikit-learn model, loaded by skops from bytes that have the artefact's hash."""

    def __init__(self, artefact: Artefact, threads: int = 1) -> None:
        super().__init__(artefact)
        self._threads = threads

    def _make(self) -> tuple[Predict, str]:
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
            asked = io.get_untrusted_types(data=data)
            unknown = {name for name in asked if not _is_trusted(name)}
            model: Any = None if unknown else io.loads(data, trusted=asked)
        except Exception as error:  # a damaged file raises whatever it runs into
            raise ModelError(f"cannot load {SKOPS}: {error}") from error
        if unknown:
            raise ModelError(
                f"{SKOPS} holds types that are not trusted: {', '.join(sorted(unknown))}; load the "
                "model in a module of yours, and let the runtime python serve that"
            )
        threadpool_limits(self._threads)
        if hasattr(model, "n_jobs"):
            model.n_jobs = self._threads
        return of_estimator(model, self._artefact.schema, SKOPS)


class CallableRuntime(_PythonRuntime):
    """A Python function: the entry point of that name, or ``package.module:function``."""

    def __init__(self, artefact: Artefact, name: str) -> None:
        super().__init__(artefact)
        self._name = name

    def _make(self) -> tuple[Predict, str]:
        found = next(iter(entry_points(group=ENTRY_POINTS, name=self._name)), None)
        if found is None and ":" not in self._name:
            raise ModelError(
                f"no entry point {self._name!r} in {ENTRY_POINTS}, and no package.module:function"
            )
        point = found or EntryPoint(self._name, self._name, ENTRY_POINTS)
        try:
            object_ = point.load()
        except Exception as error:  # the user's own code
            raise ModelError(f"cannot load {self._name}: {error}") from error
        return made_model(object_, self._artefact, self._name)


class MlflowRuntime(_PythonRuntime):
    """An MLflow model by its URI, through its pyfunc flavour."""

    def __init__(self, artefact: Artefact, uri: str) -> None:
        super().__init__(artefact)
        self._uri = uri

    def _make(self) -> tuple[Predict, str]:
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
        inputs = model.metadata.get_input_schema()
        return partial(_ask_mlflow, model, inputs, self._artefact.schema), f"{self._uri}.predict"


def _ask_mlflow(model: Any, inputs: Any, schema: FeatureSchema, batch: np.ndarray) -> Any:  # noqa: ANN401 - MLflow's types are not published
    """Rows as the model's signature wants them: columns by name, or one tensor."""
    if inputs is None or inputs.is_tensor_spec():
        return model.predict(batch)
    types = {column.name: column.type.to_numpy() for column in inputs.inputs}
    found = columns(schema, batch)
    return model.predict(
        {
            name: values if values.dtype == object else values.astype(types.get(name, values.dtype))
            for name, values in found.items()
        }
    )
