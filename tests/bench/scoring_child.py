"""Scores one window in a process of its own, and prints seconds and memory as JSON.

``python scoring_child.py ENGINE ROWS REFERENCE_ROWS CAP ROUNDS``: the engine is ``kept``
(statistics of the reference are there), ``floor`` (numpy and scipy on plain arrays, nothing kept),
``preset`` (Evidently's ``DataDriftPreset``) or ``assess`` (performance, its estimate and data
quality of rows as the job reads them, half of them labelled). Seconds are those of the processor:
no engine uses more than one, so on a machine of its own they are the wall's, and others on the
machine don't stretch them. Memory is the most that the process ever held.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from array import array
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logrows import Columns
from testbed_drift.rows.columns import PREDICTION, ColumnKind
from testbed_drift.rows.frames import declare
from testbed_drift.rows.packing import ClassProbabilities

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, ColumnKind] = {f"x{index}": "numeric" for index in range(8)}


def _frame(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(0, 1, rows) for name in KINDS}
    return declare(pd.DataFrame(columns | {PREDICTION: rng.choice(["0", "1"], rows)}), KINDS)


def _kept(reference: pd.DataFrame, current: pd.DataFrame, cap: int) -> Callable[[], object]:
    from testbed_drift.evaluation.detection import Detector  # noqa: PLC0415 - each engine its own imports

    detector = Detector(KINDS, cap=cap or None)
    detector.detect(reference, current[:100])  # keeps the reference's statistics
    return lambda: detector.detect(reference, current).scores


def _floor(reference: pd.DataFrame, current: pd.DataFrame, _cap: int) -> Callable[[], object]:
    from scipy.stats import ks_2samp, wasserstein_distance  # noqa: PLC0415 - as above

    pairs = [(reference[name].to_numpy(), current[name].to_numpy()) for name in KINDS]
    return lambda: [(ks_2samp(*pair).pvalue, wasserstein_distance(*pair)) for pair in pairs]


def _preset(reference: pd.DataFrame, current: pd.DataFrame, _cap: int) -> Callable[[], object]:
    import testbed_drift.rendering.library as evidently  # noqa: PLC0415 - as above
    from evidently.presets import DataDriftPreset  # noqa: PLC0415 - as above

    definition = evidently.DataDefinition(numerical_columns=list(KINDS))

    def run() -> object:
        before, now = (
            evidently.Dataset.from_pandas(frame[list(KINDS)], data_definition=definition)
            for frame in (reference, current)
        )
        return evidently.Report([DataDriftPreset()]).run(now, before).dict()

    return run


def _columns(frame: pd.DataFrame, seed: int) -> Columns:
    """The same rows as the job has them from the log."""
    rows = len(frame)
    rng = np.random.default_rng(seed)
    chance = rng.random(rows)
    ratios = ClassProbabilities({"1": _array(chance), "0": _array(1 - chance)})
    truth = np.where(rng.random(rows) < chance, "1", "0").tolist()
    labels = [label if place % 2 else None for place, label in enumerate(truth)]
    return Columns(
        features={name: _array(frame[name].to_numpy()) for name in KINDS},
        prediction=np.where(chance > 0.5, "1", "0").tolist(),
        probability=_array(np.maximum(chance, 1 - chance)),
        label=labels,
        id=[],
        time=_array(np.arange(rows, dtype=float)),
        probabilities=ratios,
        label_time=[None if label is None else 1e9 for label in labels],
    )


def _array(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> array[float]:
    found = array("d")
    found.frombytes(np.ascontiguousarray(values, dtype=float).tobytes())
    return found


def _assess(reference: pd.DataFrame, current: pd.DataFrame, _cap: int) -> Callable[[], object]:
    from testbed_drift.evaluation.assessment import Assessor  # noqa: PLC0415 - as above

    features = tuple(Feature(name, "number", "") for name in KINDS)
    assessor = Assessor(FeatureSchema(features, "y", (0, 1), 1), KINDS)
    before, now = _columns(reference, 3), _columns(current, 4)
    return lambda: assessor.assess(before, now)


def main() -> None:
    """Measure one engine."""
    engine = {"kept": _kept, "floor": _floor, "preset": _preset, "assess": _assess}[sys.argv[1]]
    rows, reference_rows, cap, rounds = map(int, sys.argv[2:])
    run = engine(_frame(reference_rows, 1), _frame(rows, 2), cap)
    seconds, wall = [], []
    for _ in range(rounds):
        started, used = time.perf_counter(), time.process_time()
        run()
        seconds.append(round(time.process_time() - used, 4))
        wall.append(round(time.perf_counter() - started, 4))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    report = {"seconds": seconds, "wall_seconds": wall, "peak_megabytes": round(peak)}
    print(json.dumps(report))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
