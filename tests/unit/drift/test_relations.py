"""Relations of columns, labels and model: found where no single column shows them, not claimed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_drift.evaluation.decision import Policy, decide
from testbed_drift.evaluation.detection import Detector
from testbed_drift.relations.correlations import CHANGE, MIN_CHANGE, Correlations
from testbed_drift.relations.domains import MIN_ROWS, distinguish
from testbed_drift.relations.labelrelation import BY_MODEL, MIN_LABELS, evaluate_relation
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare
from testbed_drift.scoring.calibration import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_drift.relations.study import Relations
    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.scores import DriftScores

KINDS: dict[str, ColumnKind] = {
    "size": "numeric",
    "weight": "numeric",
    "age": "numeric",
    "colour": "category",
}
# The least draws that hold the budget; a few seconds less than the default for each reference.
DRAWS = 3000


def draw(
    seed: int,
    rows: int = 1_000,
    *,
    correlation: float = 0.6,
    bent: bool = False,
    moved: float = 0.0,
    turned: float = 0.0,
    base: float = 0.0,
) -> pd.DataFrame:
    """Rows of four columns; the label's chance is a formula of size and age.

    Args:
        seed: of the draws.
        rows: number of rows.
        correlation: of size and weight.
        bent: whether age is high where size is far from its mean; each alone stays normal.
        moved: standard deviations by which age moves.
        turned: share of labels that are the other class.
        base: added to the label's logit.
    """
    rng = np.random.default_rng(seed)
    size, other, age = rng.standard_normal((3, rows))
    weight = correlation * size + np.sqrt(1 - correlation**2) * other
    if bent:
        age = np.abs(age) * np.where(np.abs(size) > 0.6745, 1, -1)
    age = age + moved
    label = rng.random(rows) < 1 / (1 + np.exp(-2 * (size + age) - base))
    label ^= rng.random(rows) < turned
    frame = pd.DataFrame({"size": size, "weight": weight, "age": age})
    frame["colour"] = np.where(other + rng.standard_normal(rows) > 0, "red", "blue")
    frame[PREDICTION] = (size + age > 0).astype(int).astype(str)
    frame[TARGET] = label.astype(int).astype(str)
    return declare(frame, KINDS)


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    """5,000 rows without drift."""
    return draw(1, 5_000)


@pytest.fixture(scope="module")
def analyst() -> Analyst:
    """An analyst that has no model at hand; what it learns of the reference is kept."""
    return Analyst(KINDS)


@pytest.fixture(scope="module")
def study(reference: pd.DataFrame, analyst: Analyst) -> Callable[..., Relations]:
    """Studies a window against the reference."""
    detector = Detector(KINDS)

    def found(current: pd.DataFrame) -> Relations:
        return analyst.study(reference, current, detector.detect(reference, current).scores)

    return found


def _scores(reference: pd.DataFrame, current: pd.DataFrame) -> DriftScores:
    return Detector(KINDS).detect(reference, current).scores


@pytest.mark.slow
def test_quiet_windows_do_not_fire(study: Callable[..., Relations]) -> None:
    """Ten windows without drift: nothing is found in any of them."""
    for seed in range(10, 20):
        found = study(draw(seed))
        assert [check for check, _, drifted in found.comparisons() if drifted] == []
        assert len(list(found.comparisons())) == 3


def test_correlation_alone_is_found(
    reference: pd.DataFrame, study: Callable[..., Relations]
) -> None:
    """Two columns part while each stays as it was: the pair is named, and the decision is ALERT."""
    current = draw(2, correlation=0.2)
    scores = _scores(reference, current)
    assert scores.drifted_columns == ()
    found = study(current)
    pair = found.correlation.pairs[0]
    assert (pair.first, pair.second, pair.drifted) == ("size", "weight", True)
    assert pair.reference == pytest.approx(0.58, abs=0.05)
    assert pair.current == pytest.approx(0.2, abs=0.1)
    decision = decide(scores, Policy(), None, found)
    assert decision.action == "ALERT"
    assert any("correlation of size and weight went from 0.5" in one for one in decision.reasons)
    assert decide(scores, Policy()).action == "NO_ACTION"


def test_correlation_is_that_of_ranks() -> None:
    """The value is Spearman's, with ties, as scipy computes it."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - the oracle of this test only

    frame = draw(3)
    frame["age"] = frame["age"].round()
    [pair] = [
        pair
        for pair in Correlations(frame, KINDS, DRAWS).compare(frame).pairs
        if (pair.first, pair.second) == ("size", "age")
    ]
    expected = spearmanr(frame["size"], frame["age"]).statistic
    assert pair.reference == pytest.approx(expected, abs=1e-12)
    assert pair.change == 0


def test_columns_that_move_keep_their_correlation(study: Callable[..., Relations]) -> None:
    """A shift or a stretch of a column is not taken for a change of its pairs."""
    current = draw(4)
    current["weight"] = 3 * current["weight"] + 7
    found = study(current)
    assert found.alone == ("weight",)
    assert found.correlation.drifted == ()
    assert not found.multivariate


def test_pair_of_a_column_that_drifted_alone_is_no_hidden_drift(
    study: Callable[..., Relations],
) -> None:
    """What a single column shows already asks for no further action; the pair is listed."""
    current = draw(5, correlation=0.0)
    current["weight"] += 2
    found = study(current)
    assert found.correlation.drifted
    assert found.hidden_pairs == ()
    assert "weight" not in found.domain.columns


def test_small_changes_of_correlation_are_no_drift(reference: pd.DataFrame) -> None:
    """A significant change below the least one is not called drift."""
    found = Correlations(reference, KINDS, DRAWS).compare(draw(6, 20_000, correlation=0.52))
    assert found.comparison
    assert found.comparison.test.exceeded
    assert found.comparison.effect.method == CHANGE
    assert found.comparison.effect.value < MIN_CHANGE
    assert found.drifted == ()


def test_draws_must_hold_the_budget(reference: pd.DataFrame) -> None:
    """Fewer draws than the budget needs are refused with the number that it needs."""
    with pytest.raises(CalibrationError, match="needs at least 2995 draws"):
        Correlations(reference, KINDS, draws=1000)


def test_dependence_without_correlation_is_found(
    reference: pd.DataFrame, study: Callable[..., Relations]
) -> None:
    """A column that bends with another keeps marginals and correlation; the classifier sees it."""
    current = draw(7, bent=True)
    scores = _scores(reference, current)
    assert scores.drifted_columns == ()
    found = study(current)
    assert found.correlation.drifted == ()
    assert found.domain.drifted
    decision = decide(scores, Policy(), None, found)
    assert decision.action == "ALERT"
    assert any("a classifier distinguishes the windows" in one for one in decision.reasons)


@pytest.mark.slow
def test_domain_test_is_valid_where_rows_are_alike() -> None:
    """40 pairs of windows of one distribution: p-values are spread, the area is about a half."""
    found = [distinguish(draw(seed), draw(1000 + seed), KINDS, seed) for seed in range(40)]
    tests = [one.comparison for one in found if one.comparison]
    assert len(tests) == 40
    assert not any(one.drifted for one in tests)
    assert np.mean([one.test.value < 0.1 for one in tests]) <= 0.25
    assert np.mean([one.effect.value for one in tests]) == pytest.approx(0.5, abs=0.01)


def test_turned_labels_are_concept_drift(
    reference: pd.DataFrame, study: Callable[..., Relations]
) -> None:
    """Inputs as ever, labels turned: found by labels, not claimed by drift of the data."""
    current = draw(8, turned=0.15)
    scores = _scores(reference, current)
    assert scores.drifted_columns == ()
    assert not scores.prediction.drifted
    found = study(current)
    assert not found.multivariate
    assert found.label.drifted
    assert found.label.where == BY_MODEL
    decision = decide(scores, Policy(), None, found)
    assert decision.action == "ALERT"
    assert decision.reasons[-1].startswith(
        "concept drift: at the same inputs the chance of label 1"
    )


@pytest.mark.slow
def test_inputs_that_move_are_no_concept_drift(study: Callable[..., Relations]) -> None:
    """Covariate shift, small and large: labels follow the same formula, and nothing is claimed."""
    for seed, moved in ((30, 0.3), (31, 0.6), (32, 1.0), (33, 2.0)):
        found = study(draw(seed, moved=moved))
        assert found.label.state == "tested"
        assert not found.label.drifted, moved


def test_label_shift_is_found(reference: pd.DataFrame, study: Callable[..., Relations]) -> None:
    """Another mix of the classes, the inputs of each as ever: seen in targets and predictions."""
    pool = draw(9, 8_000)
    yes, no = (pool[pool[TARGET] == label] for label in ("1", "0"))
    current = pd.concat([yes[:700], no[:300]]).sample(frac=1, random_state=1, ignore_index=True)
    scores = _scores(reference, current)
    assert scores.target
    assert scores.target.drifted
    assert scores.prediction.drifted
    assert study(current).label.drifted


@pytest.mark.slow
def test_covariate_drift_without_loss_is_reported_so(
    reference: pd.DataFrame,
    study: Callable[..., Relations],
    harmless: Any,  # noqa: ANN401 - a concept verdict
) -> None:
    """The inputs drift and the model errs no more: the decision says it in so many words."""
    current = draw(10, moved=1.0)
    scores = _scores(reference, current)
    assert scores.drifted_columns == ("age",)
    said = [
        one
        for one in decide(scores, Policy(), harmless, study(current)).reasons
        if "without" in one
    ]
    assert said == [
        "the inputs drifted without loss of accuracy: error 0.100, in the reference 0.100"
    ]
    turned = study(draw(11, moved=1.0, turned=0.2))
    assert turned.label.drifted
    assert not any("without" in one for one in decide(scores, Policy(), harmless, turned).reasons)
    calm = _scores(reference, draw(12))
    assert not any("without" in one for one in decide(calm, Policy(), harmless).reasons)


@pytest.fixture
def harmless() -> Any:  # noqa: ANN401 - a concept verdict
    """A concept verdict of 1,000 labels whose error is the reference's."""
    from testbed_drift.quality.concept import evaluate  # noqa: PLC0415 - of this fixture only
    from testbed_drift.quality.estimation import Estimator  # noqa: PLC0415 - the same
    from testbed_drift.quality.outcomes import Outcomes  # noqa: PLC0415 - the same

    def outcomes(rows: int) -> Outcomes:
        label = np.arange(rows) % 2
        wrong = np.arange(rows) % 10 == 0
        chances = np.column_stack([1.0 - label, label]) * 0.8 + 0.1
        missing = np.full(rows, np.nan)
        return Outcomes(("0", "1"), 1, np.where(wrong, 1 - label, label), label, chances, missing)

    before = outcomes(5_000)
    return evaluate(before, outcomes(1_000), Estimator.learn(before))


def test_too_little_is_a_state(reference: pd.DataFrame) -> None:
    """Few rows, few labels, one class, one column: each is named, and nothing is claimed."""
    assert distinguish(reference, draw(13, MIN_ROWS - 1), KINDS).state == "few_rows"
    assert distinguish(reference, draw(13), {"size": "numeric"}).state == "few_columns"
    assert Correlations(reference, {"size": "numeric"}).compare(draw(13)).state == "few_columns"
    assert Correlations(reference, KINDS).compare(draw(13, 99)).state == "few_rows"
    wide = pd.DataFrame({f"x{number}": draw(13)["size"] for number in range(41)})
    names: dict[str, ColumnKind] = dict.fromkeys(map(str, wide), "numeric")
    assert Correlations(wide, names).compare(wide).state == "many_columns"
    assert evaluate_relation(reference, draw(13, MIN_LABELS - 1), KINDS).state == "few_labels"
    same = reference.assign(**{TARGET: "1"})
    assert evaluate_relation(same, same, KINDS).state == "one_class"


def test_odd_windows_give_a_result(analyst: Analyst, reference: pd.DataFrame) -> None:
    """Missing, constant, unknown and huge values, and no labels: a stated result, strict JSON."""
    odd = draw(14)
    odd["size"] = np.nan
    odd["weight"] = 1.0
    odd.loc[::3, "age"] = 1e100
    odd["colour"] = [None, "teal", *odd["colour"][2:]]
    odd[TARGET] = None
    found = analyst.study(reference, odd, _scores(reference, odd))
    assert found.label.state == "few_labels"
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["relations"]
    empty = odd.assign(**dict.fromkeys(("size", "weight", "age"), np.nan), colour=None)
    none = Analyst(KINDS).study(empty, empty, _scores(empty, empty))
    json.dumps(none.to_dict(), allow_nan=False)
    assert not none.multivariate


@pytest.mark.slow
def test_classes_that_are_rare_or_several_are_tested() -> None:
    """Three classes, one of them in two rows only: tested, and drift names a class."""
    before, now = draw(15, 3_000), draw(16)
    for frame in (before, now):
        frame.loc[frame["size"] > 0.8, TARGET] = "2"
    before.loc[:1, TARGET] = "rare"
    calm = evaluate_relation(before, now, KINDS)
    assert (calm.state, calm.drifted) == ("tested", False)
    swapped = now.assign(**{TARGET: now[TARGET].replace({"0": "2", "2": "0"})})
    found = evaluate_relation(before, swapped, KINDS)
    assert found.drifted
    assert found.label in {"0", "2"}


@pytest.mark.slow
def test_same_rows_give_the_same_study(reference: pd.DataFrame, analyst: Analyst) -> None:
    """All draws are seeded: a second analyst says the same to the last digit."""
    current = draw(17, correlation=0.3)
    scores = _scores(reference, current)
    first = analyst.study(reference, current, scores)
    assert Analyst(KINDS).study(reference.copy(), current, scores).to_dict() == first.to_dict()


@pytest.mark.slow
def test_a_prepared_study_says_the_same(reference: pd.DataFrame, analyst: Analyst) -> None:
    """Each size of windows is drawn for once, and what was drawn before is what would be later."""
    prepared = Analyst(KINDS)
    # The library, the reference, and windows of 128, 256, 512, 1,024 and 2,000 rows.
    assert len(list(prepared.preparing(reference, 200, 5_000))) == 7
    assert len(list(prepared.preparing(reference, 200, 5_000))) == 2
    current = draw(19)
    scores = _scores(reference, current)
    assert prepared.study(reference, current, scores) == analyst.study(reference, current, scores)


@pytest.mark.slow
def test_a_study_draws_for_what_is_not_prepared(reference: pd.DataFrame) -> None:
    """A window of a size that was not prepared has been drawn for once it is evaluated."""
    small = Correlations(reference, KINDS)
    small.compare(draw(20, 300))
    assert len(list(small.preparing(200, 600))) == 2  # of 128, 256 and 512 rows
    assert list(Correlations(reference[["age"]], {"age": "numeric"}).preparing(200, 600)) == []


def test_large_windows_are_sampled(reference: pd.DataFrame) -> None:
    """Above the cap a seeded sample is studied: as the sample alone would be."""
    from testbed_drift.scoring.matrices import sampled  # noqa: PLC0415 - of this test only

    current = draw(18, 3_000)
    scores = _scores(reference, current)
    small = Analyst(KINDS, rows=1_000)
    whole = small.study(reference, current, scores)
    part = small.study(reference, sampled(current, 1_000, 0), scores)
    assert whole.to_dict() == part.to_dict()
    assert replace(whole, alone=("size",)) != whole


@pytest.mark.slow
def test_the_guides_example_runs() -> None:
    """What the guide says of two tables is so: its own assertions hold."""
    page = Path(__file__).parents[3] / "docs/how-to/relations.md"
    [example] = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "'drifted': True" in done.stdout
