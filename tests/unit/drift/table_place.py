"""Tables with a known drift, and ``run`` on them as the command line plays it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_drift.cli import main
from testbed_drift.settings import DriftSettings

from tests.support.schemas import schema_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, list[dict[str, Any]]]]
    Compare = Callable[..., dict[str, Any]]

ROWS = 600
FIXED = ("--time-column", "t", "--relations-rows", "0")
# With the study of relations at the job's own default.
STUDIED = ("--relations-rows", str(DriftSettings.model_fields["relations_rows"].default))
ROLES = ("--target", "y", "--prediction", "p", "--probability", "q")
RECORD = schema_of("drift-run.schema.json")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches the tests."""
    for name in DriftSettings.model_fields:
        monkeypatch.delenv(f"TESTBED_DRIFT_{name.upper()}", raising=False)


def make(seed: int, rows: int = ROWS, shift: float = 0.0) -> pd.DataFrame:
    """Rows a minute apart: four inputs, a label, a calibrated probability and its prediction."""
    rng = np.random.default_rng(seed)
    age = rng.normal(shift, 1, rows)
    chance = 1 / (1 + np.exp(-2 * age))
    return pd.DataFrame(
        {
            "age": age,
            "town": rng.choice(["a", "b", "c"], rows),
            "open": rng.random(rows) < 0.5,
            "day": pd.to_datetime(rng.integers(18_000, 19_000, rows), unit="D"),
            "t": pd.date_range("2024-01-01", periods=rows, freq="min"),
            "y": (rng.random(rows) < chance).astype(int),
            "p": (chance > 0.5).astype(int),
            "q": chance,
        }
    )


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with a reference, rows like it, and rows whose age has moved."""
    make(1, 2 * ROWS).to_parquet(tmp_path / "a.parquet")
    make(2).to_csv(tmp_path / "same.csv", index=False)
    make(3, shift=1.0).to_parquet(tmp_path / "moved.parquet")
    return tmp_path


@pytest.fixture
def run(tables: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a comparison with ``a.parquet``: exit code, and the objects, checked by the schema.

    The study of relations, which takes most of the time, is left out unless it is asked for.
    """

    def play(current: str, *options: str) -> tuple[int, list[dict[str, Any]]]:
        sides = ("--reference", str(tables / "a.parquet"), "--current", str(tables / current))
        code = main(
            ["run", *sides, "--time-column", "t", "--relations-rows", "0", *options, "--json"]
        )
        objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        for one in objects:
            RECORD.validate(one)
        return code, objects

    return play


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    """Writes two tables and compares them: the object, with what was said beside it."""

    def play(
        reference: Callable[[Path], Path], current: Callable[[Path], Path], *options: str
    ) -> dict[str, Any]:
        files = [write(tmp_path / name) for write, name in ((reference, "a"), (current, "b"))]
        sides = ("--reference", str(files[0]), "--current", str(files[1]))
        code = main(["run", *sides, "--relations-rows", "0", "--json", *options])
        output = capsys.readouterr()
        found: dict[str, Any] = json.loads(output.out)
        return found | {"code": code, "said": output.err}

    return play


def csv_of(frame: pd.DataFrame, **options: Any) -> Callable[[Path], Path]:  # noqa: ANN401 - of pandas
    """Writes a table as CSV."""

    def write(path: Path) -> Path:
        file = path.with_suffix(".csv")
        frame.to_csv(file, **{"index": False, **options})
        return file

    return write


def parquet_of(frame: pd.DataFrame) -> Callable[[Path], Path]:
    """Writes a table as Parquet."""

    def write(path: Path) -> Path:
        file = path.with_suffix(".parquet")
        frame.to_parquet(file)
        return file

    return write
