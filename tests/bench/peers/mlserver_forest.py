"""The forest as MLServer serves it; runs in MLServer's own environment.

``OnnxForest`` is fastest: a custom runtime, as MLServer's documentation describes them, without
batching. ``SkopsForest`` is MLServer's own scikit-learn runtime, for adaptive batching; only its
loading is replaced, so that nothing is unpickled. ``FOREST_MODEL`` is the artefact's folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
import skops.io
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_sklearn import SKLearnModel

MODEL = Path(os.environ.get("FOREST_MODEL", "."))


class OnnxForest(MLModel):  # type: ignore[misc] # its types are in its own environment
    """One ONNX session on one thread, in the event loop."""

    async def load(self) -> bool:
        """Make the session."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(
            MODEL / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Probabilities of the rows of a request."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        (answer,) = self._session.run(["probabilities"], {"features": rows})
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output("probabilities", answer)],
        )


class SkopsForest(SKLearnModel):  # type: ignore[misc] # as above
    """The scikit-learn model."""

    async def load(self) -> bool:
        """Read the model."""
        self._model = skops.io.load(MODEL / "model.skops", trusted=["sklearn.tree._tree.Tree"])
        self._model.n_jobs = 1
        return True
