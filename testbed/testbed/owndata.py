"""A table of the user's, as the options of a command name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from testbed_domain.features import Task
from testbed_domain.tables.reading import ReadOptions


@dataclass(frozen=True, slots=True)
class OwnData:
    """A table of the user's.

    Attributes:
        data: its file, or None for the use case's own data.
        target: its target column, for the use case ``any``.
        task: what that use case learns; None infers it.
        reading: what the caller says of how to read it.
    """

    data: Path | None = None
    target: str | None = None
    task: Task | None = None
    reading: ReadOptions = field(default_factory=ReadOptions)
