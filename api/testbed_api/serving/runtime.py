"""Model runtimes: from encoded rows to class probabilities, or to numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from testbed_domain.columns import example_batch
from testbed_domain.errors import DomainError
from testbed_domain.onnxsession import OnnxSession

if TYPE_CHECKING:
    import numpy as np
    from testbed_domain.artefact import Artefact


class ModelError(DomainError):
    """The model can't be loaded."""


class ModelRuntime(Protocol):
    """What serves a model."""

    def load(self) -> None:
        """Load and warm up; blocks, and is called once before :meth:`predict`.

        Raises:
            ModelError: the model can't be loaded, or doesn't fit its schema.
        """

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Of encoded rows, float32 ``[n, width]``: probabilities ``[n, classes]`` or ``[n, 1]``."""


class OnnxRuntime:
    """ONNX Runtime, on one thread by default so that replicas don't fight for cores."""

    def __init__(self, artefact: Artefact, threads: int = 1) -> None:
        self._artefact = artefact
        self._threads = threads
        self._session: OnnxSession | None = None

    def load(self) -> None:
        """See :meth:`ModelRuntime.load`."""
        schema = self._artefact.schema
        try:
            self._session = OnnxSession(self._artefact.model_file, self._threads, schema)
            answer = self.predict(example_batch(schema, 1))
        except Exception as error:  # its errors share no base class below Exception
            raise ModelError(f"cannot load {self._artefact.model_file}: {error}") from error
        if answer.shape != (1, schema.outputs) or answer.dtype.kind != "f":
            wanted = "predicted number" if schema.regression else "probabilities of the classes"
            raise ModelError(
                f"{self._artefact.model_file} does not fit its feature schema: its output must be "
                f"the {wanted}, [1, {schema.outputs}] for one row, and is {list(answer.shape)} of "
                f"{answer.dtype}"
            )

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """See :meth:`ModelRuntime.predict`."""
        if self._session is None:
            raise ModelError("the model is not loaded yet")
        return self._session.outputs(batch)
