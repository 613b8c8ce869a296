"""One level for all that may ask for an action in a window, shared out among the tests. Pure.

By default each test has a level of its own, as its module says: together they are wrong about one
window without drift in about 200 (docs/decisions/0009). Who can say how many windows there will be
gives a level to each instead: its parts add up to it (Bonferroni), so that no dependence between
the tests matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

CORRELATION: Final = 0.001
DOMAIN: Final = 0.001
LABEL: Final = 0.001
CONCEPT: Final = 1e-5

# The parts of a level. They add up to 1, for two of them count twice: a column is tested for its
# values and for those that miss, the error among the newest rows and among all.
WEIGHTS: Final = {
    "columns": 0.2,
    "prediction": 0.05,
    "target": 0.05,
    "concept": 0.05,
    "correlation": 0.15,
    "domain": 0.1,
    "label": 0.15,
}


@dataclass(frozen=True, slots=True)
class Levels:
    """Significance of each test of a window.

    Attributes:
        columns: of all columns together.
        prediction: of the predicted class.
        target: of the label.
        concept: of each of the two tests of the model's error.
        correlation: of all pairs of columns together.
        domain: of the classifier that distinguishes windows.
        label: of labels at the same inputs.
    """

    columns: float = 0.001
    prediction: float = 0.001
    target: float = 0.001
    concept: float = CONCEPT
    correlation: float = CORRELATION
    domain: float = DOMAIN
    label: float = LABEL

    @classmethod
    def of(cls, level: float | None) -> Self:
        """Those that a level for the whole window leaves; none above its default.

        Args:
            level: chance of any action for a window without drift; None keeps the defaults.
        """
        usual = cls()
        if level is None:
            return usual
        parts = {name: level * part for name, part in WEIGHTS.items()}
        return cls(**{name: min(part, getattr(usual, name)) for name, part in parts.items()})


USUAL: Final = Levels()
