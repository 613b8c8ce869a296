"""Which columns NannyML's defaults flag; runs in NannyML's own environment, so imports no more.

``python nannyml_flags.py FILE …`` takes files as ``tests.bench.drift_peers`` writes them and prints
one JSON object: name of the file to the flagged columns of each of its windows.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import nannyml
import numpy as np
import pandas as pd


def flagged(before: Any, now: Any, columns: list[str], categories: list[str]) -> list[str]:  # noqa: ANN401 - arrays
    """Columns that the univariate drift calculator alerts on, with one chunk for the window."""
    frames = [pd.DataFrame(rows, columns=columns) for rows in (before, now)]
    for frame in frames:
        frame[categories] = frame[categories].astype(int).astype(str)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=columns, treat_as_categorical=categories, chunk_size=len(now)
    )
    found = calculator.fit(frames[0]).calculate(frames[1]).filter(period="analysis").to_df()
    return [name for name in columns if bool(found[name].xs("alert", axis=1, level=1).any().any())]


def main(paths: list[str]) -> None:
    """Print what was flagged in the windows of each file."""
    warnings.simplefilter("ignore")
    flags = {}
    for path in map(Path, paths):
        held = np.load(path)
        names = [list(map(str, held[name])) for name in ("columns", "categories")]
        pairs = zip(held["reference"], held["current"], strict=True)
        flags[path.name] = [flagged(*pair, *names) for pair in pairs]
    print(json.dumps(flags))  # noqa: T201 - its output


if __name__ == "__main__":
    main(sys.argv[1:])
