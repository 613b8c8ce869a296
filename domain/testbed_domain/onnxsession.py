"""Sessions of ONNX Runtime, imported here only: with its usage reports off.

From 1.31 on, ONNX Runtime on Linux writes an id of the machine and a queue of events into the home
folder and sends them to its maker, unless ``ORT_DISABLE_TELEMETRY`` is set when it is imported.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from testbed_domain.encoding import INPUT, OUTPUTS

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

if TYPE_CHECKING:
    from pathlib import Path


class OnnxSession:
    """A model in ONNX Runtime, on the processor.

    Args:
        model: its file, or its bytes.
        threads: of one call. One by default, so that replicas don't fight for cores; the order of
            sums decides the last bits, so whoever compares scores uses the same number.

    Raises:
        Exception: the model can't be loaded; ONNX Runtime's errors share no base class below.
    """

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

        names = [output.name for output in self._session.get_outputs()]
        # A regression's only output has the name that its exporter likes.
        self._wanted = OUTPUTS[1:] if OUTPUTS[1] in names else names[:1]

    def outputs(self, batch: np.ndarray) -> np.ndarray:
        """Of encoded rows, float32 ``[n, width]``: probabilities ``[n, classes]`` or ``[n, 1]``."""
        answer: np.ndarray = self._session.run(self._wanted, {INPUT: batch})[0]
        return answer.reshape(len(answer), -1)
