"""Sessions of ONNX Runtime, imported here only: with its usage reports off.

From 1.31 on, ONNX Runtime on Linux writes an id of the machine and a queue of events into the home
folder and sends them to its maker, unless ``ORT_DISABLE_TELEMETRY`` is set when it is imported.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from testbed_domain.columns import columns
from testbed_domain.encoding import OUTPUTS, width
from testbed_domain.errors import DomainError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.features import FeatureSchema

    Feed = Callable[[np.ndarray], dict[str, np.ndarray]]

_TYPES: Final[dict[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
_MATRIX: Final = 2  # dimensions


class OnnxSession:
    """A model in ONNX Runtime, on the processor.

    It has one input, which takes encoded rows ``[n, width]`` or the features' numbers
    ``[n, features]``; or one input ``[n, 1]`` for each feature, of its name. What it answers is the
    output ``probabilities``, or else its only one, or the last of several.

    Args:
        model: its file, or its bytes.
        threads: of one call. One by default, so that replicas don't fight for cores; the order of
            sums decides the last bits, so whoever compares scores uses the same number.
        schema: of the rows; without it the model takes encoded rows.

    Raises:
        DomainError: its inputs are others; says which.
        Exception: the model can't be loaded; ONNX Runtime's errors share no base class below.
    """

    def __init__(
        self, model: Path | bytes, threads: int = 1, schema: FeatureSchema | None = None
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in self._session.get_outputs()]
        self._wanted = OUTPUTS[1:] if OUTPUTS[1] in names else tuple(names[-1:])
        self._feed = _feed(self._session.get_inputs(), schema)

    def outputs(self, batch: np.ndarray) -> np.ndarray:
        """Of encoded rows, float32 ``[n, width]``: probabilities ``[n, classes]`` or ``[n, 1]``.

        Raises:
            DomainError: the model puts out something else than a tensor.
        """
        answer = self._session.run(list(self._wanted), self._feed(batch))[0]
        if not isinstance(answer, np.ndarray):
            raise DomainError(
                f"the output {self._wanted[0]} of the model must be a tensor [n, classes], and is "
                f"a {type(answer).__name__}: export it without zipmap"
            )
        return answer.reshape(len(answer), -1)


def _feed(inputs: list[Any], schema: FeatureSchema | None) -> Feed:
    """What makes the model's inputs of encoded rows.

    Raises:
        DomainError: it takes other ones.
    """
    types = {each.name: _TYPES.get(each.type) for each in inputs}
    if unknown := [f"{each.name}: {each.type}" for each in inputs if types[each.name] is None]:
        raise DomainError(f"the model takes {', '.join(unknown)}, which no row is made into")
    first = inputs[0]
    if len(inputs) == 1 and _of_encoded_rows(first, schema):
        return lambda batch: {first.name: batch.astype(types[first.name], copy=False)}
    if schema is not None and set(types) == set(schema.names):
        return lambda batch: {
            name: values.astype(types[name]).reshape(-1, 1)
            for name, values in columns(schema, batch).items()
        }
    if schema is not None and len(inputs) == 1 and _of_numbers(first, schema):
        kind = types[first.name]
        return lambda batch: {
            first.name: np.stack([*columns(schema, batch).values()], axis=1).astype(kind)
        }
    taken = ", ".join(f"{each.name} {each.shape}" for each in inputs)
    wanted = "one input [n, width] of encoded rows"
    if schema is not None:
        wanted = (
            f"one input [n, {width(schema)}] of encoded rows, or one [n, 1] for each of "
            f"{', '.join(schema.names)}"
        )
    raise DomainError(f"the model must take {wanted}, and takes {taken}")


def _of_encoded_rows(found: Any, schema: FeatureSchema | None) -> bool:  # noqa: ANN401 - ONNX Runtime's types are not published
    size = found.shape[-1] if len(found.shape) == _MATRIX else None
    if schema is None:
        return True
    if len(found.shape) != _MATRIX or found.type == "tensor(string)":
        return False
    return not isinstance(size, int) or size == width(schema)


def _of_numbers(found: Any, schema: FeatureSchema) -> bool:  # noqa: ANN401 - the same
    plain = all(feature.kind != "category" for feature in schema.features)
    return plain and len(found.shape) == _MATRIX and found.shape[-1] == len(schema.features)
