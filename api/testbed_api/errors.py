"""What can't be done: a request that gets an error as its answer, a setting that can't be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from testbed_domain.errors import DomainError

PREFIX: Final = "TESTBED_API_"

Kind = Literal[
    "validation", "injected", "model", "not_ready", "log", "shed", "deadline", "cancelled", "other"
]
"""The values of ``error.type`` in ``ml.prediction.errors``."""


class SettingsError(DomainError):
    """A setting that is missing or can't be used."""


@dataclass(eq=False)
class ApiError(Exception):
    """A request that gets an error as its answer.

    Attributes:
        status: HTTP status.
        kind: what ``ml.prediction.errors`` counts it as.
        detail: for people; or one entry per refused field, as FastAPI has them. Holds nothing of
            the input but names, so that it can always be written as JSON.
        retry_after: seconds after which trying again makes sense.
        version: of the model that was to answer; None where none was chosen yet.
    """

    status: int
    kind: Kind
    detail: str | list[dict[str, Any]]
    retry_after: int | None = None
    version: str | None = None
