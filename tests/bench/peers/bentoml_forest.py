"""The forest as BentoML serves it fastest; runs in BentoML's own environment.

An asynchronous API method runs in the event loop, one row a request, by ONNX. ``FOREST_MODEL`` is
the ONNX file, ``FOREST_OTLP`` the OTLP endpoint of traces over HTTP.
"""

from __future__ import annotations

import os

import bentoml
import numpy as np
import onnxruntime as ort
from pydantic import BaseModel


class Row(BaseModel):
    """The features of the diabetes use case."""

    Pregnancies: int
    Glucose: float
    BloodPressure: float
    SkinThickness: float
    Insulin: float
    BMI: float
    DiabetesPedigreeFunction: float
    Age: int


class Reply(BaseModel):
    """A prediction."""

    prediction: int
    probability: float
    probabilities: dict[str, float]


@bentoml.service(
    name="forest",
    workers=1,
    metrics={"enabled": True},
    logging={"access": {"enabled": True}},
    tracing={
        "exporter_type": "otlp",
        "sample_rate": 0.01,
        "otlp": {
            "protocol": "http",
            "endpoint": os.environ.get("FOREST_OTLP", ""),
            "http": {"headers": {}},
        },
    },
)
class Forest:
    """One ONNX session on one thread."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(
            os.environ["FOREST_MODEL"], options, providers=["CPUExecutionProvider"]
        )

    @bentoml.api  # type: ignore[untyped-decorator] # its types are in its own environment
    async def predict(self, row: Row, /) -> Reply:
        """Predict one row."""
        features = np.array([list(row.__dict__.values())], np.float32)
        (answer,) = self._session.run(["probabilities"], {"features": features})
        probabilities = answer[0].tolist()
        best = int(probabilities[1] > probabilities[0])
        return Reply(
            prediction=best,
            probability=probabilities[best],
            probabilities={"0": probabilities[0], "1": probabilities[1]},
        )
