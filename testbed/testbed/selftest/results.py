"""What came of planted defects: was each found, and was the right link named first?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from testbed.errors import EXIT_COULD_NOT_RUN, EXIT_VERDICT_FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMED_RATIO: Final = 0.95
"""Share of the defects whose first named link must be the right one."""


class Result(BaseModel):
    """One defect that was played."""

    model_config = ConfigDict(frozen=True)

    defect: str
    kind: str
    exit_code: int = Field(description="Of the run: 0 passed, 1 verdict failed, 2 could not run.")
    culprit: str | None = Field(description="Link that the verdict names first.")
    expected: tuple[str, ...] = Field(description="Links that it may name first.")
    lead: str = Field(description="The first failed check and its summary, or why it did not run.")
    seconds: float
    refused: str | None = Field(
        None, description="Words with which the run must be refused before its load."
    )

    @property
    def found(self) -> bool:
        """Whether the verdict failed, or the run was refused as it must be."""
        if self.refused is not None:
            return self.exit_code == EXIT_COULD_NOT_RUN and self.refused in self.lead
        return self.exit_code == EXIT_VERDICT_FAILED

    @property
    def named(self) -> bool:
        """Whether it was found and the right link leads."""
        return self.found and (self.refused is not None or self.culprit in self.expected)


def passed(results: Sequence[Result]) -> bool:
    """Whether every defect was found, and enough of them with the right link first."""
    named = sum(result.named for result in results)
    return all(result.found for result in results) and named >= NAMED_RATIO * len(results)


def summary(results: Sequence[Result]) -> str:
    """One line."""
    found, named = (
        sum(result.found for result in results),
        sum(result.named for result in results),
    )
    return (
        f"{found} of {len(results)} defects found, {named} with the right link first "
        f"(at least {NAMED_RATIO:.0%} are wanted)"
    )


_RESULTS: Final = TypeAdapter(tuple[Result, ...])


def read_results(path: Path) -> tuple[Result, ...]:
    """Results that were written; none where there is no file."""
    return _RESULTS.validate_json(path.read_bytes()) if path.exists() else ()


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write results as JSON."""
    rows = [result.model_dump(mode="json", exclude_defaults=True) for result in results]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
