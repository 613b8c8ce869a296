"""Champion against challenger on the same held-out rows, and the rule of promotion. Pure.

Both predict the same rows, so the tests are paired and one-sided. Of classes what counts are the
rows on which exactly one of them is right (McNemar 1947, in its exact form: a binomial test of one
half). Of numbers it is the difference of the absolute errors row by row, whose mean is tested
(Diebold and Mariano 1995, "Comparing Predictive Accuracy", of forecasts one step ahead in the form
for small samples of Harvey, Leybourne and Newbold 1997, which is the paired t-test). A rank test
would ask of the median, and a model that is a little better on most rows and far off on the others
would win it; what is promised is a smaller mean error. The champion is evaluated by what it
answered, as the log has it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from scipy.stats import binom
from scipy.stats import t as student
from testbed_otel import names

from testbed_drift.formatting import ReportTable, iso_time
from testbed_drift.quality.numbers import RISE

if TYPE_CHECKING:
    from collections.abc import Mapping

RetrainingOutcome = Literal["promoted", "kept", "too_few_rows", "called", "failed"]
OUTCOMES: Final[tuple[RetrainingOutcome, ...]] = (
    "promoted", "kept", "too_few_rows", "called", "failed",
)  # fmt: skip
LEVEL: Final = 0.01
# Least gain of accuracy that is worth another model.
GAIN: Final = 0.01
# Of numbers, the least fall of the mean absolute error, as a share of the champion's: what would be
# concept drift as a rise.
FALL: Final = RISE


@dataclass(frozen=True, slots=True)
class Trial:
    """Result of the comparison.

    Attributes:
        rows: held-out rows, none of which the challenger was trained on.
        champion: score to value: ``accuracy`` and, where probabilities are known, ``log_loss``; of
            numbers ``mae`` and ``rmse``, in the target's unit.
        challenger: likewise.
        p_value: chance of so clear a win of the challenger, were both equally good.
    """

    rows: int
    champion: Mapping[str, float]
    challenger: Mapping[str, float]
    p_value: float

    @property
    def of_numbers(self) -> bool:
        """Whether the models predict numbers."""
        return "mae" in self.champion

    @property
    def gain(self) -> float:
        """Accuracy won, -1 to 1; of numbers the share of the mean absolute error that is gone."""
        if self.of_numbers:
            before = self.champion["mae"]
            return 1 - self.challenger["mae"] / before if before else 0.0
        return self.challenger["accuracy"] - self.champion["accuracy"]

    @property
    def better(self) -> bool:
        """The rule: a gain that matters, no chance, and no worse probabilities, or large errors."""
        loss = "rmse" if self.of_numbers else "log_loss"
        losses = [scores.get(loss) for scores in (self.champion, self.challenger)]
        surer = losses[0] is None or losses[1] is None or losses[1] <= losses[0]
        minimum = FALL if self.of_numbers else GAIN
        return self.gain >= minimum and self.p_value <= LEVEL and surer

    @property
    def words(self) -> str:
        """The comparison in one phrase."""
        named, score = (
            ("mean absolute error", "mae") if self.of_numbers else ("accuracy", "accuracy")
        )
        before, now = (_figure(score, one[score]) for one in (self.champion, self.challenger))
        return (
            f"{named} {before} of the champion, {now} of the challenger on {self.rows} held-out "
            f"rows, p = {self.p_value:.2g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "rows": self.rows,
            "champion": dict(self.champion),
            "challenger": dict(self.challenger),
            "p_value": self.p_value,
        }


@dataclass(frozen=True, slots=True)
class Retraining:
    """What came of it.

    Attributes:
        outcome: ``promoted``; ``kept``: the champion stays; ``too_few_rows``; ``called``: a command
            of the user ended well; ``failed``.
        message: one line: why.
        champion: version that answered before.
        started: Unix time at which it began.
        seconds: how long it took.
        challenger: version that was trained, if one was.
        trial: the comparison, if there was one.
    """

    outcome: RetrainingOutcome
    message: str
    champion: str
    started: float
    seconds: float = 0.0
    challenger: str | None = None
    trial: Trial | None = None

    @property
    def scores(self) -> dict[str, float]:
        """Scores on the held-out rows, for example ``challenger.accuracy``."""
        if self.trial is None:
            return {}
        roles = {"champion": self.trial.champion, "challenger": self.trial.challenger}
        return {
            f"{role}.{score}": value
            for role, scores in roles.items()
            for score, value in scores.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "outcome": self.outcome,
            "message": self.message,
            "champion": self.champion,
            "challenger": self.challenger,
            "started": self.started,
            "seconds": self.seconds,
            "trial": self.trial.to_dict() if self.trial else None,
        }

    def table(self) -> ReportTable:
        """What the HTML report shows of it."""
        models = (("champion", self.champion), ("challenger", self.challenger or "none"))
        scores = {} if self.trial is None else asdict(self.trial)
        numbers = self.trial is not None and self.trial.of_numbers
        shown = names.TRIAL_NUMBER_SCORES if numbers else names.TRIAL_CLASS_SCORES
        return ReportTable(
            f"Last training, {iso_time(self.started)}: {self.outcome.replace('_', ' ')}; "
            f"{self.message}",
            ("model", "version", *(score.replace("_", " ") for score in shown)),
            tuple(
                (role, version, *(_shown(scores, role, score) for score in shown))
                for role, version in models
            ),
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            ValueError: it is something else.
        """
        try:
            values = {name: content[name] for name in cls.__dataclass_fields__}
            if values["outcome"] not in OUTCOMES:
                raise ValueError(values["outcome"])
            values["trial"] = values["trial"] and Trial(**values["trial"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no retraining: {error}") from error


def compare(
    truth: np.ndarray[Any, Any],
    champion: np.ndarray[Any, Any],
    challenger: np.ndarray[Any, Any],
    answered: np.ndarray[Any, Any],
) -> Trial:
    """Compare two models.

    Args:
        truth: index of the true class of each row; at least one row.
        champion: probabilities that the champion gave, ``[rows, classes]``; NaN where not known.
        challenger: probabilities of the challenger, likewise.
        answered: index of the class that the champion answered; -1 for one that it does not know.
    """
    right = answered == truth
    wins = challenger.argmax(axis=1) == truth
    only, other = int((wins & ~right).sum()), int((right & ~wins).sum())
    return Trial(
        len(truth),
        _scores(right, champion, truth),
        _scores(wins, challenger, truth),
        float(binom.sf(only - 1, only + other, 0.5)),
    )


def compare_numbers(
    truth: np.ndarray[Any, Any],
    champion: np.ndarray[Any, Any],
    challenger: np.ndarray[Any, Any],
) -> Trial:
    """Compare two models that predict numbers.

    Args:
        truth: the true number of each row; at least two rows.
        champion: the number that the champion answered.
        challenger: that of the challenger.
    """
    before, now = np.abs(champion - truth), np.abs(challenger - truth)
    return Trial(len(truth), _errors(before), _errors(now), _smaller(before - now))


def _errors(sizes: np.ndarray[Any, Any]) -> dict[str, float]:
    return {"mae": float(sizes.mean()), "rmse": float(np.sqrt((sizes**2).mean()))}


def _smaller(won: np.ndarray[Any, Any]) -> float:
    """Chance of so large a mean of the error won, were it none in truth."""
    spread = float(won.std(ddof=1))
    if spread == 0:  # the same in every row
        return float(won.mean() <= 0)
    return float(student.sf(won.mean() / (spread / np.sqrt(len(won))), len(won) - 1))


def _figure(score: str, value: float) -> str:
    """A score as text: errors of numbers have a unit, and so any size."""
    return f"{value:.6g}" if score in names.TRIAL_NUMBER_SCORES else f"{value:.3f}"


def _shown(scores: Mapping[str, Any], role: str, score: str) -> str:
    value = scores.get(role, {}).get(score)
    return "none" if value is None else _figure(score, value)


def _scores(
    right: np.ndarray[Any, Any], chances: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]
) -> dict[str, float]:
    found = {"accuracy": float(right.mean())}
    of_truth = chances[np.arange(len(truth)), truth]
    if np.isfinite(of_truth).all():
        tiny = np.finfo(float).eps
        found["log_loss"] = float(-np.log(np.clip(of_truth, tiny, 1 - tiny)).mean())
    return found
