"""How near the rules came to firing, or to not firing: what is stored of it."""

from __future__ import annotations

from pydantic import Field

from testbed.charts import StoredModel


class LimitMargin(StoredModel):
    """One comparison with a limit; the values are those nearest to making the alert fire.

    Attributes:
        expression: what is compared.
        operator: how.
        limit: with what.
        quiet_held: before the phases that expect the alert, for all of the rule's ``for``; only
            that makes it fire.
        fault_peak: phase that expects the alert to the value in it.
        fault_held: the same, for all of ``for``.
        bounded: whether the range of limits that would have passed, too, is known.
        passes_from: the lowest of them; None where there is none.
        passes_to: the highest of them; None where there is none.
    """

    expression: str
    operator: str
    limit: float
    quiet_held: float | None = None
    fault_peak: dict[str, float] = Field(default_factory=dict)
    fault_held: dict[str, float] = Field(default_factory=dict)
    bounded: bool = False
    passes_from: float | None = None
    passes_to: float | None = None


class Replayed(StoredModel):
    """A stretch of time in which the replay of a rule fires; ``end`` None: to the end."""

    labels: dict[str, str]
    start: float
    end: float | None


class RuleMargins(StoredModel):
    """One alerting rule on this run's data.

    Attributes:
        alert: name of the alert.
        group: of rules.
        labels: that the rule adds.
        expression: of the rule.
        for_: ``for`` in real seconds.
        interval: of the evaluations in real seconds.
        problem: why nothing could be replayed; empty if it could.
        unscored: why its mutants say nothing; empty if they do.
        exercised: whether the scenario expects the alert and this rule made it fire.
        limits: its comparisons.
        mutants: how many were replayed.
        killed: how many of these would have failed the verdict.
        alike: further ones that this run's data can't distinguish from the rule.
        survivors: those that would have passed, in words; only of an exercised rule.
        possible: when it may have fired at most, for late data, and on a stack that others have
            started for what was so before the run.
        certain: when it must have fired at least.
    """

    alert: str
    group: str
    labels: dict[str, str] = Field(default_factory=dict)
    expression: str
    for_: float = 0.0
    interval: float = 0.0
    problem: str = ""
    unscored: str = ""
    exercised: bool = False
    limits: tuple[LimitMargin, ...] = ()
    mutants: int = 0
    killed: int = 0
    alike: int = 0
    survivors: tuple[str, ...] = ()
    possible: tuple[Replayed, ...] = ()
    certain: tuple[Replayed, ...] = ()


class Margins(StoredModel):
    """How far each alert was from its limit, and which mutants of its rule would pass, too.

    Attributes:
        rules: in the order in which Prometheus has them.
        restarted: whether Prometheus restarted, so that pending alerts began anew.
    """

    rules: tuple[RuleMargins, ...] = ()
    restarted: bool = False
