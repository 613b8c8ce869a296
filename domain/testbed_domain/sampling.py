"""How traffic is drawn: one stated rule, seeded, free of pandas.

With a generator, traffic and reference are independent fresh draws from it. With a data set, its
rows are split into train, test and reference, and traffic is drawn with replacement from the very
rows that are the reference. They share one pool on purpose: two disjoint parts of a few hundred
rows differ enough to be taken for drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_domain.artefact import Artefact, ArtefactError, LabelledRow
from testbed_domain.errors import DomainError
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import Callable

GENERATOR_RULE: Final = "traffic and reference are independent fresh draws from the generator"
POOL_RULE: Final = (
    "rows split 50/15/35 into train, test and reference, stratified by class, or by tenths of a "
    "number; traffic is drawn with replacement from the reference rows"
)

# Rows are drawn in blocks of this size whatever a caller asks for, so that the stream of rows
# depends on the seed only.
_BLOCK: Final = 256


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """A random generator of its own for each purpose, so that equal seeds share no draws.

    Raises:
        DomainError: the seed is negative.
    """
    if seed < 0:
        raise DomainError(f"the seed must be 0 or more, not {seed}")
    return np.random.default_rng([seed, *purpose.encode()])


def random_state(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, in the range that scikit-learn takes.

    Raises:
        DomainError: the seed is negative.
    """
    return int(random_stream(seed, purpose).integers(2**32))


class Sampler:
    """An endless seeded stream of labelled rows.

    Args:
        block: draws so many labelled rows.
    """

    def __init__(self, block: Callable[[int], list[LabelledRow]]) -> None:
        self._block = block
        self._ready: list[LabelledRow] = []

    def draw(self, n: int) -> list[LabelledRow]:
        """The next ``n`` rows with their labels; each row is the caller's own to change."""
        while len(self._ready) < n:
            self._ready += self._block(_BLOCK)
        drawn, self._ready = self._ready[:n], self._ready[n:]
        return drawn


def sampler(artefact: Artefact, seed: int) -> Sampler:
    """Traffic for a model, drawn as this module says.

    Raises:
        ArtefactError: the artefact holds no rows to draw from, and its use case no generator.
        DomainError: its use case is unknown.
    """
    rng = random_stream(seed, "traffic")
    pool = list(artefact.pool())
    if pool:

        def from_pool(n: int) -> list[LabelledRow]:
            picks = rng.integers(len(pool), size=n).tolist()
            return [(dict(pool[pick][0]), pool[pick][1]) for pick in picks]

        return Sampler(from_pool)

    generator = get_use_case(artefact.use_case).generator
    if generator is None:
        raise ArtefactError(f"{artefact.path} has neither a pool nor a generator; train again")

    def from_generator(n: int) -> list[LabelledRow]:
        return list(zip(*generator.sample(rng, n), strict=True))

    return Sampler(from_generator)
