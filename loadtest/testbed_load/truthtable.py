"""The truth as one Parquet file: a row per request, as a prediction log of anyone's service.

Written once, when the load is over, from the lines that are written while it runs. Features have
columns of their own, beside them stands what was planned, sent and answered.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from testbed_domain.jsonlines import parse_line

from testbed_load.errors import LoadError
from testbed_load.truth import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from testbed_domain.features import FeatureSchema

TABLE: Final = "truth.parquet"
POSITIVE: Final = "positive_probability"
"""Probability of the positive class, whatever was predicted; where there are two classes."""

_ROWS: Final = 20_000
_KINDS: Final = {"integer": pa.int64(), "number": pa.float64(), "category": pa.string()}
_PLANNED: Final = {
    "seq": pa.int64(),
    "request_id": pa.string(),
    "trace_id": pa.string(),
    "sampled": pa.bool_(),
    "phase": pa.string(),
    "drift": pa.string(),
    "severity": pa.float64(),
    "scheduled_at": pa.float64(),
    "free_at": pa.float64(),
    "sent_at": pa.float64(),
    "finished_at": pa.float64(),
    "latency": pa.float64(),
    "status": pa.int64(),
    "error": pa.string(),
    "prediction_id": pa.string(),
    "probability": pa.float64(),
    POSITIVE: pa.float64(),
}
RENAMED: Final = "load_"
"""Before the name of a column that a feature has, too."""


def write_table(directory: Path, schema: FeatureSchema) -> Path:
    """Write ``truth.parquet`` beside the lines of a truth; a torn last line is left out.

    Args:
        directory: holds ``requests.jsonl``.
        schema: of the features and labels.

    Raises:
        LoadError: it can't be written.
    """
    target, temporary = directory / TABLE, directory / f".{TABLE}"
    columns = _columns(schema)
    try:
        with pq.ParquetWriter(temporary, pa.schema(list(columns.items()))) as writer:
            lines = _lines(directory)
            while rows := list(islice(lines, _ROWS)):
                found = [_row(line, schema) for line in rows]
                writer.write_table(pa.Table.from_pylist(found, schema=writer.schema))
        temporary.replace(target)
    except (OSError, pa.ArrowException) as error:
        temporary.unlink(missing_ok=True)
        raise LoadError(f"{target} can't be written: {error}; the lines beside it are") from error
    return target


def _columns(schema: FeatureSchema) -> dict[str, pa.DataType]:
    numbers = all(isinstance(label, int) for label in schema.classes)
    label = pa.float64() if schema.regression else pa.int64() if numbers else pa.string()
    features = {feature.name: _KINDS[feature.kind] for feature in schema.features}
    own = {**_PLANNED, "prediction": label, "label": label}
    return features | {_free(name, features): kind for name, kind in own.items()}


def _free(name: str, features: Iterable[str]) -> str:
    return f"{RENAMED}{name}" if name in features else name


def _lines(directory: Path) -> Iterator[dict[str, Any]]:
    with (directory / REQUESTS).open("rb") as file:
        for raw in file:
            if raw.endswith(b"\n"):
                yield dict(parse_line(raw))


def _row(line: dict[str, Any], schema: FeatureSchema) -> dict[str, Any]:
    features: dict[str, Any] = line.pop("features")
    names = schema.names
    own = line | {"latency": line["finished_at"] - line["scheduled_at"]}
    positive, given = schema.positive_class, line["probability"]
    if positive is not None and given is not None:
        own[POSITIVE] = given if line["prediction"] == positive else 1.0 - given
    return features | {_free(name, names): value for name, value in own.items()}
