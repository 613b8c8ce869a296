"""What no single column shows, and what drift does to the model: a study of two windows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed_drift.formatting import ReportTable, finite
from testbed_drift.relations.classifiers import import_library
from testbed_drift.relations.contributions import Contributions, contributions, ranked
from testbed_drift.relations.copies import Distinct
from testbed_drift.relations.correlations import CorrelationDrift, Correlations
from testbed_drift.relations.domains import DomainDrift, distinguish
from testbed_drift.relations.labelrelation import LabelRelation, evaluate_relation
from testbed_drift.relations.models import ModelLoadError, Surrogate
from testbed_drift.scoring.calibration import reference_hash
from testbed_drift.scoring.levels import Levels
from testbed_drift.scoring.matrices import sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

    from testbed_drift.relations.correlations import PairChange
    from testbed_drift.relations.models import ScoringModel
    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.scores import Comparison, DriftScores

logger = logging.getLogger(__name__)

# Rows of a window that are studied; more only cost more.
ROWS: Final = 5000
# Pairs of columns that are named: the tables of many columns would hide them.
NAMED: Final = 10
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Relations:
    """What a study found.

    Attributes:
        correlation: pairs of columns.
        domain: whether a classifier distinguishes the windows by the columns that did not drift
            alone.
        label: whether the same inputs come with other labels.
        contributions: of the features to the model's answers; None where no model could be asked.
        alone: columns that drifted by themselves: what they do is no news.
    """

    correlation: CorrelationDrift
    domain: DomainDrift
    label: LabelRelation
    contributions: Contributions | None
    alone: tuple[str, ...] = ()

    @property
    def hidden_pairs(self) -> tuple[PairChange, ...]:
        """Drifted pairs of which neither column drifted alone."""
        return tuple(
            pair
            for pair in self.correlation.drifted
            if pair.first not in self.alone and pair.second not in self.alone
        )

    @property
    def multivariate(self) -> bool:
        """Whether there is drift that no single column shows."""
        return bool(self.hidden_pairs) or self.domain.drifted

    @property
    def reasons(self) -> tuple[str, ...]:
        """Phrases for a decision, without concept drift's."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[str]:
        if pairs := self.hidden_pairs:
            first = pairs[0]
            others = f", and of {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
            yield (
                f"the correlation of {first.first} and {first.second} went from "
                f"{first.reference:.2f} to {first.current:.2f}{others}"
            )
        if self.domain.drifted and self.domain.comparison:
            yield (
                "a classifier distinguishes the windows by columns that did not drift alone (AUC "
                f"{self.domain.comparison.effect.value:.2f})"
            )
        if self.contributions and self.contributions.reason:
            yield self.contributions.reason

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "relations": {
                "multivariate_drift": self.multivariate,
                "correlation": {
                    "state": self.correlation.state,
                    "drifted": bool(self.correlation.drifted),
                    "scores": _scores(self.correlation.comparison),
                    "pairs": [pair.to_dict() for pair in self.correlation.pairs[:NAMED]],
                },
                "domain": {
                    "state": self.domain.state,
                    "drifted": self.domain.drifted,
                    "columns": list(self.domain.columns),
                    "scores": _scores(self.domain.comparison),
                },
                "label": {
                    "state": self.label.state,
                    "drifted": self.label.drifted,
                    "label": self.label.label,
                    "where": self.label.where,
                    "scores": _scores(self.label.comparison),
                },
            },
            "contributions": self.contributions.to_dict() if self.contributions else None,
        }

    def comparisons(self) -> Iterator[tuple[str, Comparison, bool]]:
        """Check, its scores and whether it found drift, of all that were tested."""
        found = {
            "correlation": (self.correlation.comparison, bool(self.correlation.drifted)),
            "domain": (self.domain.comparison, self.domain.drifted),
            "label": (self.label.comparison, self.label.drifted),
        }
        for check, (comparison, drifted) in found.items():
            if comparison:
                yield check, comparison, drifted

    def tables(self) -> tuple[ReportTable, ...]:
        """What the report shows above the figures."""
        tested = [
            (check, score.method, f"{score.value:.4g}", f"{score.threshold:.4g}", _yes(drifted))
            for check, comparison, drifted in self.comparisons()
            for score in (comparison.test, comparison.effect)
        ]
        pairs = [
            (
                f"{pair.first}, {pair.second}",
                f"{pair.reference:.3f}",
                f"{pair.current:.3f}",
                f"{pair.deviations:.1f}",
                _yes(pair.drifted),
            )
            for pair in self.correlation.pairs[:NAMED]
        ]
        return (
            ReportTable(
                "Relations: what no single column shows, and labels at the same inputs"
                + (f"; {self.label.reason}" if self.label.reason else ""),
                ("relation", "method", "score", "threshold", "drifted"),
                tuple(tested),
                folded=True,
            ),
            ReportTable(
                "Rank correlations that changed most",
                ("columns", "reference", "current", "standard deviations", "drifted"),
                tuple(pairs),
                folded=True,
            ),
            *self._contribution_tables(),
        )

    def _contribution_tables(self) -> Iterator[ReportTable]:
        if self.contributions is None:
            return
        who = "the served model"
        if self.contributions.fidelity is not None:
            ratio = self.contributions.fidelity
            who = (
                f"a surrogate that foretells {ratio:.1%} of the model's predictions (of numbers: "
                "of their variance)"
            )
        rows = [
            (
                one.column,
                f"{one.reference:.4f}",
                f"{one.current:.4f}",
                f"{one.change:+.4f}",
                "none" if one.drift is None else f"{one.drift:.2f}",
                "none" if one.effect is None else f"{one.effect:.4f}",
            )
            for one in self.contributions.columns
        ]
        yield ReportTable(
            f"Features by the effect of their drift on {who}",
            ("column", "contribution before", "now", "change", "drift", "effect"),
            tuple(rows),
            folded=True,
        )


class Analyst:
    """Studies windows; keeps what it learnt of the last reference.

    Args:
        kinds: feature columns and kinds.
        load: loads the served model, when it is first needed; None, or a model that can't be
            loaded, has a surrogate learn the reference's predictions.
        rows: rows of a window above which a seeded sample of so many is studied.
        levels: of the tests.
    """

    def __init__(
        self,
        kinds: Mapping[str, ColumnKind],
        load: Callable[[], ScoringModel] | None = None,
        rows: int = ROWS,
        levels: Levels | None = None,
    ) -> None:
        self._kinds = dict(kinds)
        self._load = load
        self._rows = rows
        self._levels = levels or Levels()
        self._known: tuple[str, _Known] | None = None

    def study(
        self, reference: pd.DataFrame, current: pd.DataFrame, scores: DriftScores
    ) -> Relations:
        """Study two windows.

        Args:
            reference: rows to compare with, as made by :func:`testbed_drift.rows.frames.declare`.
            current: rows to evaluate, made alike; neither may be empty.
            scores: drift of their columns.
        """
        before, now = (sampled(frame, self._rows, SEED) for frame in (reference, current))
        # A copy of a row is no further witness of how columns go together.
        single = Distinct.of(before, now, self._kinds)
        known = self._learnt(single.reference)
        alone = scores.drifted_columns
        calm = {name: kind for name, kind in self._kinds.items() if name not in alone}
        model = known.model
        return Relations(
            known.correlations.compare(single.current),
            distinguish(before, now, calm, SEED, self._levels.domain),
            evaluate_relation(before, now, self._kinds, SEED, self._levels.label),
            ranked(model, known.contributions, contributions(model, now, SEED), scores)
            if model
            else None,
            alone,
        )

    def preparing(self, reference: pd.DataFrame, minimum: int, maximum: int) -> Iterator[None]:
        """Learn of a reference what its first studies would; a second at most at each step.

        Args:
            reference: rows to compare with, as for :meth:`study`.
            minimum: rows of the smallest window that is to be studied.
            maximum: rows of the largest.
        """
        import_library()
        yield
        known = self._learnt(sampled(reference, self._rows, SEED))
        yield
        yield from known.correlations.preparing(minimum, min(maximum, self._rows))

    def _learnt(self, reference: pd.DataFrame) -> _Known:
        digest = reference_hash(reference)
        if self._known is None or self._known[0] != digest:
            model = self._served() or Surrogate.learn(reference, self._kinds, SEED)
            self._known = (
                digest,
                _Known(
                    Correlations(
                        reference, self._kinds, budget=self._levels.correlation, seed=SEED
                    ),
                    model,
                    contributions(model, reference, SEED) if model else {},
                ),
            )
        return self._known[1]

    def _served(self) -> ScoringModel | None:
        if self._load is None:
            return None
        try:
            return self._load()
        except ModelLoadError as error:
            logger.warning("%s; a surrogate stands in", " ".join(str(error).split()))
            return None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is learnt of a reference once."""

    correlations: Correlations
    model: ScoringModel | None
    contributions: Mapping[str, float]


def _scores(comparison: Comparison | None) -> dict[str, Any]:
    both = (comparison.test, comparison.effect) if comparison else ()
    return {
        score.method: {"score": finite(score.value), "threshold": score.threshold} for score in both
    }


def _yes(flag: bool) -> str:  # noqa: FBT001 - a value to show
    return ("no", "yes")[flag]
