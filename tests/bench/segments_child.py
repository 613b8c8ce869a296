"""Scores many segments in a process of its own, over worker processes, and prints what it took.

``python segments_child.py SEGMENTS ROWS WORKERS ROUNDS``: eight columns, as many rows per segment
in the reference as in the window. The first round starts the processes.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd
from testbed_domain.logrows import Columns
from testbed_drift.evaluation.segmentdrift import SegmentScorer
from testbed_drift.rows.columns import PREDICTION, TARGET, ColumnKind
from testbed_drift.rows.frames import declare
from testbed_drift.rows.windows import Window
from testbed_drift.scoring.scores import DriftRule
from testbed_drift.workers import Workers

KINDS: dict[str, ColumnKind] = {
    **{f"x{index}": "numeric" for index in range(7)},
    "shop": "category",
}


def _window(segments: int, rows: int, seed: int) -> Window:
    rng = np.random.default_rng(seed)
    shops = rng.permutation(np.repeat([f"shop{place:04}" for place in range(segments)], rows))
    features = {name: rng.normal(0, 1, len(shops)) for name in KINDS if name != "shop"}
    classes = rng.choice(["0", "1"], len(shops))
    raw = {**features, "shop": shops.astype(object), PREDICTION: classes, TARGET: classes}
    count = len(shops)
    columns = Columns(
        {"shop": shops.tolist()}, classes.tolist(), [0.8] * count, [None] * count, [], []
    )
    return Window("window", declare(pd.DataFrame(raw), KINDS), columns=columns)


def main() -> None:
    """Measure."""
    segments, rows, count, rounds = map(int, sys.argv[1:])
    windows = _window(segments, rows, 1), _window(segments, rows, 2)
    with Workers(count) as workers:
        pool = workers if count > 1 else None
        scorer = SegmentScorer("shop", KINDS, DriftRule(), rows, segments, pool)
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            found = scorer.score(*windows)
            seconds.append(round(time.perf_counter() - started, 3))
    scored = sum(one.state == "scored" for one in found)
    print(json.dumps({"wall_seconds": seconds, "scored": scored}))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
