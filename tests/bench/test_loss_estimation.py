"""How far the estimated error of predicted numbers is from the realised one, on real rows.

Run it with ``pytest tests/bench/test_loss_estimation.py --benchmark-enable -s``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from testbed_domain.logrows import Columns
from testbed_drift.quality.lossestimation import LossEstimator
from testbed_drift.quality.numbers import evaluate_numbers, measure_numbers, read
from testbed_drift.rows.frames import kinds_of
from testbed_load import drifts
from testbed_load.statistics import reference_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed_domain.artefact import Artefact, ReferenceRow

SEEDS: Final = range(1, 11)
WINDOWS: Final = 20
ROWS: Final = 500
# Of the reference, rows that the second model learns from where windows are drawn from others.
LEARNT: Final = 105
SHIFTS: Final = (("none", 0.0), ("population_shift", 0.5), ("population_shift", 1.0))
# The bar: windows within twice the stated error.
MIN_WITHIN: Final = 0.9


def _columns(rows: Sequence[ReferenceRow]) -> Columns:
    names = rows[0].features
    return Columns(
        {name: [row.features[name] for row in rows] for name in names},
        [row.prediction for row in rows],
        [0.0] * len(rows),
        [row.label for row in rows],
        [],
        [],
    )


def _window(
    artefact: Artefact,
    pool: Sequence[ReferenceRow],
    severity: float,
    rng: np.random.Generator,
) -> list[ReferenceRow]:
    """Rows drawn with replacement, shifted as Locust shifts traffic, with their own labels."""
    reference = list(artefact.reference())
    statistics = reference_statistics(
        artefact.schema, [row.features for row in reference], [row.label for row in reference]
    )
    chosen = [pool[place] for place in rng.integers(len(pool), size=ROWS)]
    # Places stand in for labels, so that each row brings its prediction along.
    _, places = drifts.apply(
        "population_shift",
        [row.features for row in chosen],
        [float(place) for place in range(ROWS)],
        severity=severity,
        schema=artefact.schema,
        statistics=statistics,
        rng=rng,
    )
    return [chosen[int(place)] for place in places]


def _row(
    artefact: Artefact, severity: float, rng: np.random.Generator, *, own: bool
) -> list[float]:
    rows = list(artefact.reference())
    order = rng.permutation(len(rows)) if own else range(len(rows))
    learnt = [rows[place] for place in list(order)[: LEARNT if own else None]]
    pool = [rows[place] for place in list(order)[LEARNT if own else 0 :]]
    window = _window(artefact, pool, severity, rng)
    unknown = [np.full(len(part), np.nan) for part in (learnt, window)]
    kinds = kinds_of(artefact.schema)
    before, now = read(_columns(learnt), _columns(window), kinds, unknown)
    estimator = LossEstimator.learn(before)
    found, usual = estimator.estimate(now), measure_numbers(before).scores["mae"]
    realised = measure_numbers(now).scores["mae"]
    assert found.scores
    assert found.standard_error
    concept = evaluate_numbers(before, now, estimator)
    return [usual, realised, found.scores["mae"], found.standard_error, float(concept.drifted)]


def _report(found: np.ndarray[Any, Any]) -> dict[str, float]:
    usual, realised, estimated, stated, concept = found.T
    missed = estimated - realised
    return {
        "windows": len(found),
        "reference": float(usual.mean()),
        "realised": float(realised.mean()),
        "estimated": float(estimated.mean()),
        "mean error": float(missed.mean()),
        "mean absolute error": float(np.abs(missed).mean()),
        "of the reference's error as an estimate": float(np.abs(usual - realised).mean()),
        "stated": float(stated.mean()),
        "within twice the stated": float((np.abs(missed) <= 2 * stated).mean()),
        "concept drift": float(concept.mean()),
    }


def test_estimates_are_within_their_stated_error(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    tmp_path: Path,
) -> None:
    """On scikit-learn's diabetes table, drifted and not, of rows that were learnt and of others."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    from testbed_domain.training import train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - the same

    rng = np.random.default_rng(0)
    case = get_use_case("progression")
    found: dict[str, list[list[float]]] = {}

    def play() -> None:
        for seed in SEEDS:
            artefact = train(case, None, seed, tmp_path / str(seed))
            for own in (False, True):
                for name, severity in SHIFTS:
                    key = f"{'other rows' if own else 'traffic'}, {name} {severity:g}"
                    found.setdefault(key, []).extend(
                        _row(artefact, severity, rng, own=own) for _ in range(WINDOWS)
                    )

    benchmark.pedantic(play)
    report = {key: _report(np.array(rows)) for key, rows in found.items()}
    print(json.dumps(report, indent=2))  # noqa: T201 - the figures are the result
    for key, row in report.items():
        assert row["within twice the stated"] >= MIN_WITHIN, key
        if key.endswith("population_shift 1"):
            assert row["estimated"] > 1.05 * row["reference"], key
            assert row["mean absolute error"] < row["of the reference's error as an estimate"], key
