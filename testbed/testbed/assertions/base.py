"""What an assertion of a scenario is: its fields, what it refuses, and what it makes of a run.

One class per kind holds all of it, and :data:`ASSERTIONS` finds the classes by this folder, or by
the entry points ``testbed.assertions`` of installed packages.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field
from testbed_domain.registry import Registry, kind_of

from testbed.checks.results import Severity
from testbed.checks.stages import Stage
from testbed.fields import StrictModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.checks.case import Case
    from testbed.scenario import Scenario

DETAILS: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an assertion.

    Attributes:
        passed: whether it holds.
        summary: one sentence; the reason, where it does not.
        details: one line each.
    """

    passed: bool
    summary: str
    details: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: str, problems: Iterable[str], seen: str) -> Finding:
        """Of what must hold, why it does not (nothing: it does), and what was seen instead."""
        first, *others = [*problems][:DETAILS] or [""]
        return cls(passed=not first, summary=f"{words}: {first or seen}", details=tuple(others))


class AssertionModel(StrictModel):
    """Base of the kinds.

    A kind adds the field ``kind``, a ``Literal`` of its name with that as its default.
    """

    stage: ClassVar[Stage] = Stage.SERVICE
    """The link of the way of the data that it is about."""

    timed: ClassVar[bool] = False
    """Whether a machine that is too slow for the time scale can make it fail."""

    kind: str
    name: str = Field(min_length=1, description="Unique within the scenario.")
    severity: Severity = Field(
        "fail", description="What a failure means: `fail` the run, or only `warn`."
    )
    weight: float = Field(1.0, gt=0, description="Points in the score of the assertions.")
    of_bundled_api: bool = Field(
        default=False,
        description="It is about the API that comes with the testbed, as by a metric of it: not "
        "applicable where a service of one's own is tested.",
    )

    @property
    def label(self) -> str:
        """Name of its check."""
        return f"{'timed ' if self.timed else ''}assertion {self.name}"

    @property
    @abstractmethod
    def words(self) -> str:
        """What must hold, for people."""

    @abstractmethod
    def evaluate(self, case: Case) -> Finding:
        """Hold it against what happened; pure."""

    def refusals(self, scenario: Scenario) -> Iterator[str]:
        """What of it can't be in this scenario, one text each; here, a phase that is not there."""
        phase, names = getattr(self, "phase", None), [each.name for each in scenario.phases]
        if phase is not None and phase not in names:
            yield f"names the phase {phase!r}; the scenario has {', '.join(names)}"

    @property
    def alerts(self) -> tuple[str, ...]:
        """Alerts that it names: their rules must be there."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it names: the use case must have them."""
        return ()

    @property
    def components(self) -> tuple[str, ...]:
        """Components without which it can't hold."""
        return ()

    @property
    def log_files(self) -> bool:
        """Whether it reads log files of components, which only a run that starts them has."""
        return False


ASSERTIONS: Final[Registry[type[AssertionModel]]] = Registry(
    "testbed.assertions", "testbed.assertions", kind_of
)
"""Every kind of assertion by its ``kind``."""


def where(phase: str | None) -> str:
    """The phase, to be put behind other words."""
    return f" in {phase}" if phase else ""
