"""Thresholds that keep a budget of false positives, from a reference alone, and the file of them.

The rule stays: a column drifted when its test *and* its effect size say so. What is calibrated is
the significance that all columns ratio: in windows without drift (:mod:`.resampling`) the smallest
p-value over all comparisons, of those whose effect is sufficient, is what a false positive depends
on (the single-step method of minima, Westfall and Young, Resampling-Based Multiple Testing, 1993).
The significance is the largest that so few of the drawn windows pass that, with 95 % confidence, no
larger share than the budget does (the tolerance limit of Wilks, 1941; the bound is Clopper's and
Pearson's). So any drifted column asks for ALERT within the budget: the share's threshold is one
column.

A larger window than the calibrated one has fewer false positives, since noise passes the effect
size less often; a smaller one is not evaluated.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from scipy.stats import beta
from testbed_domain.errors import DomainError
from testbed_domain.files import read_regular

from testbed_drift.rows.frames import is_numeric
from testbed_drift.scoring.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.scores import DriftRule

SCHEMA_VERSION: Final = 1
FILE: Final = "calibration.json"
CONFIDENCE: Final = 0.95
# A test that passes more than this by chance is none, however rare sufficient effects are.
MAX_ALPHA: Final = 0.01
POWER: Final = 0.9
POWER_ROWS: Final = (100, 200, 300, 500, 750, 1000, 2000, 5000)


class CalibrationError(DomainError):
    """A calibration that can't be made, read or used. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """What to calibrate for.

    Attributes:
        rows: rows of the window; smaller ones will not be evaluated.
        budget: false positives per window. 0.001 at a window a minute is one or two a day.
        shift: standard deviations that matter, see ``_Column.tilted`` in
            :mod:`testbed_drift.scoring.resampling`.
        draws: windows without drift.
        power_draws: windows with drift per column and number of rows.
        seed: of the draws.
    """

    rows: int = 1000
    budget: float = 0.001
    shift: float = 0.5
    draws: int = 10_000
    power_draws: int = 100
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds of one reference.

    Attributes:
        model_version: whose reference it is.
        reference_sha256: see :func:`reference_hash`.
        plan: what it was made for.
        alphas: column to significance.
        effects: column to least effect size.
        alert_share: share of drifted columns from which a window asks for ALERT.
        rows_needed: least rows with which the shift that matters is found in 90 % of windows, in
            every column that can move so far; 0 where :data:`POWER_ROWS` are too few.
        power: column to rows to share of windows in which the shift is found.
        created: Unix time at which it was made; 0 where that is not known.
    """

    model_version: str
    reference_sha256: str
    plan: CalibrationPlan
    alphas: Mapping[str, float]
    effects: Mapping[str, float]
    alert_share: float
    rows_needed: int
    power: Mapping[str, Mapping[int, float]]
    created: float = 0.0

    @property
    def min_rows(self) -> int:
        """Rows of a window from which on it is evaluated."""
        return max(self.plan.rows, self.rows_needed)

    @property
    def purpose(self) -> str:
        """Why a window needs so many rows, in words."""
        return (
            f"to find a shift of {self.plan.shift:g} standard deviations with at most "
            f"{self.plan.budget:.2%} false positives (see the table of testbed drift calibrate)"
        )

    def verify(self, model_version: str, reference: pd.DataFrame) -> None:
        """Check that it was made from this reference.

        Raises:
            CalibrationError: it was not.
        """
        self.verify_version(model_version)
        if self.reference_sha256 != reference_hash(reference):
            raise CalibrationError(
                "the calibration was made from another reference: run testbed drift calibrate again"
            )

    def verify_version(self, model_version: str) -> None:
        """Check that it was made for this model.

        Raises:
            CalibrationError: it was not.
        """
        if self.model_version != model_version:
            raise CalibrationError(
                f"the calibration is of model {self.model_version}, not of {model_version}: "
                "run testbed drift calibrate for this model"
            )

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=1)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            CalibrationError: it can't be read, or is of another version.
        """
        try:
            data = json.loads(read_regular(path))
            version = data.pop("schema_version")
            plan = CalibrationPlan(**data.pop("plan"))
            power = {
                column: {int(rows): ratio for rows, ratio in ratios.items()}
                for column, ratios in data.pop("power").items()
            }
            found = cls(plan=plan, power=power, **data)
        except (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise CalibrationError(
                f"cannot read the calibration {path} ({error}): run testbed drift calibrate"
            ) from error
        if version != SCHEMA_VERSION:
            raise CalibrationError(
                f"{path} has schema version {version!r}, this program reads {SCHEMA_VERSION}: run "
                "testbed drift calibrate"
            )
        return found


def calibrate(
    reference: pd.DataFrame,
    kinds: Mapping[str, ColumnKind],
    rule: DriftRule,
    plan: CalibrationPlan,
    model_version: str,
) -> Calibration:
    """Find the thresholds of a reference.

    Args:
        reference: rows as :func:`testbed_drift.rows.frames.declare` makes them.
        kinds: feature columns and kinds.
        rule: effect sizes.
        plan: what to calibrate for.
        model_version: whose reference it is.

    Raises:
        CalibrationError: the plan can't be carried out: the draws are too few for the budget, for
            example.
    """
    if min(plan.rows, plan.draws) < 1 or plan.shift <= 0 or not 0 < plan.budget < 1:
        raise CalibrationError("rows, draws and shift must be above 0, the budget between 0 and 1")
    allowed = false_positives_allowed(plan.draws, plan.budget)
    sampler = Resampler(reference, kinds, rule, np.random.default_rng(plan.seed))
    smallest = np.sort(sampler.quiet(plan.rows, plan.draws))
    alpha = min(float(np.nextafter(smallest[allowed], 0)), MAX_ALPHA)
    power = {
        name: found for name in sampler.columns if (found := _power(sampler, name, alpha, plan))
    }
    return Calibration(
        model_version=model_version,
        reference_sha256=reference_hash(reference),
        plan=plan,
        alphas=dict.fromkeys(sampler.columns, alpha),
        effects={
            name: rule.numeric_effect if is_numeric(reference[name]) else rule.category_effect
            for name in sampler.columns
        },
        alert_share=1 / len(kinds),
        rows_needed=_rows_needed(power),
        power=power,
    )


def false_positives_allowed(draws: int, budget: float) -> int:
    """How many of the draws may be false positives for their true share to be within the budget.

    Raises:
        CalibrationError: not even none.
    """
    allowed = -1
    while beta.ppf(CONFIDENCE, allowed + 2, draws - allowed - 1) <= budget:
        allowed += 1
    if allowed < 0:
        minimum = math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-budget))
        raise CalibrationError(f"a budget of {budget:g} needs at least {minimum} draws")
    return allowed


def reference_hash(reference: pd.DataFrame) -> str:
    """SHA-256 of a reference: names, kinds and values of its columns, in their order."""
    digest = hashlib.sha256()
    for name in reference:
        column = reference[name]
        digest.update(f"{name}\0".encode())
        if column.dtype == "float64":
            digest.update((column.to_numpy() + 0.0).tobytes())  # there are two zeros
        else:
            texts = [
                None if missing else text
                for text, missing in zip(column, column.isna(), strict=True)
            ]
            digest.update(json.dumps(texts).encode())
    return digest.hexdigest()


def _power(sampler: Resampler, name: str, alpha: float, plan: CalibrationPlan) -> dict[int, float]:
    found = {}
    for rows in POWER_ROWS:
        smallest = sampler.drifted(name, rows, plan.power_draws, plan.shift)
        if smallest is None:
            return {}
        found[rows] = float((smallest <= alpha).mean())
        if found[rows] == 1.0:
            break  # more rows find it too
    return found


def _rows_needed(power: Mapping[str, Mapping[int, float]]) -> int:
    needed = 0
    for ratios in power.values():
        enough = [rows for rows, ratio in ratios.items() if ratio >= POWER]
        if not enough:
            return 0
        needed = max(needed, min(enough))
    return needed


def power_table(calibration: Calibration) -> str:
    """The power table as text, a line per column."""
    width = max(map(len, calibration.power), default=0)
    lines = [" " * width + "".join(f"{rows:>7}" for rows in POWER_ROWS)]
    for name, ratios in calibration.power.items():
        cells = (f"{ratios.get(rows, 1.0):>7.2f}" for rows in POWER_ROWS)
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)


def summary(calibration: Calibration) -> str:
    """What was found, for people: thresholds, rows and the power table."""
    plan = calibration.plan
    return (
        f"At {plan.rows} rows a window: a column drifted at p <= "
        f"{min(calibration.alphas.values()):.2g} and its least effect size; any of them asks "
        f"for ALERT (share >= {calibration.alert_share:.3f}). False positives: at most "
        f"{plan.budget:.2%} of the windows, of {plan.draws} drawn ones.\n"
        f"Share of windows of so many rows in which a shift of {plan.shift:g} standard deviations "
        f"(categories: {plan.shift * 50:g} points) is found:\n"
        f"{power_table(calibration)}\n"
        f"Windows of less than {calibration.min_rows} rows are not evaluated."
    )
