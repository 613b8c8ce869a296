"""Mutants against a scenario: which would have been noticed in this run, and which not. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from testbed_rules.conditions import Vector, evaluate
from testbed_rules.outcomes import broken_by
from testbed_rules.replay import ReplayedFiring, replay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from testbed_rules.conditions import Condition, Labels
    from testbed_rules.mutants import Mutant
    from testbed_rules.outcomes import AlertContract
    from testbed_rules.replay import RuleTiming

Firings: TypeAlias = tuple[ReplayedFiring, ...]


@dataclass(frozen=True, slots=True)
class ReplayedPhases:
    """A rule and what there is to replay it on.

    Attributes:
        condition: of the rule.
        timing: of the rule.
        times: of its evaluations.
        answers: query to its series at these times; one that failed is not there.
        mutants: of the rule.
        labels: that the rule adds.
    """

    condition: Condition
    timing: RuleTiming
    times: NDArray[np.float64]
    answers: Mapping[str, Vector]
    mutants: tuple[Mutant, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def firings(
        self, condition: Condition | None = None, timing: RuleTiming | None = None
    ) -> Firings:
        """Replay the rule, or another condition or timing in its place.

        Raises:
            KeyError: a query that it needs has no answer.
        """
        vector = evaluate(condition or self.condition, self.answers)
        firings = replay(self.times, vector, timing or self.timing)
        return tuple(replace(firing, labels=self._labelled(firing)) for firing in firings)

    def _labelled(self, firing: ReplayedFiring) -> Labels:
        return frozenset({**dict(firing.labels), **self.labels}.items())


@dataclass(frozen=True, slots=True)
class MutationScore:
    """What became of a rule's mutants.

    Attributes:
        killed: mutants that would have been noticed, with what they would have done.
        survivors: mutants that would not.
        alike: number of mutants that no data of this run can distinguish from the rule.
    """

    killed: tuple[tuple[Mutant, str], ...] = ()
    survivors: tuple[Mutant, ...] = ()
    alike: int = 0


def score(rule: ReplayedPhases, others: Firings, contract: AlertContract) -> MutationScore:
    """Replay each mutant of a rule.

    Args:
        rule: whose mutants.
        others: what further rules of the same alert fire, since an alert is expected, not a rule.
        contract: of the alert.
    """
    killed: list[tuple[Mutant, str]] = []
    survivors: list[Mutant] = []
    alike = 0
    for mutant in rule.mutants:
        try:
            firings = rule.firings(mutant.condition, mutant.timing)
        except KeyError:
            continue  # Prometheus refuses it: no mistake that could stay unnoticed.
        fault = broken_by((*firings, *others), contract)
        if fault is not None:
            killed.append((mutant, fault))
        elif _alike(rule, mutant):
            alike += 1
        else:
            survivors.append(mutant)
    return MutationScore(tuple(killed), tuple(survivors), alike)


def _alike(rule: ReplayedPhases, mutant: Mutant) -> bool:
    """Whether a mutant is right, too, as far as this run's data go: the same series come out.

    A broken matcher or another range is a mistake though it finds the same nothing.
    """
    if mutant.kind == "edge":
        before, after = rule.condition, mutant.condition
        return _series(evaluate(before, rule.answers)) == _series(evaluate(after, rule.answers))
    if mutant.kind not in {"matcher", "labels"} or mutant.leaf is None:
        return False
    old, new = (rule.answers[text] for text in mutant.leaf)
    return bool(old) and _series(old) == _series(new)


def _series(vector: Vector) -> list[tuple[bytes, bytes]]:
    """What distinguishes two vectors, their labels left aside."""
    return sorted(
        (line.present.tobytes(), np.round(line.values[line.present], 9).tobytes())
        for line in vector
        if line.present.any()
    )
