"""Use cases: one module each, found by this folder; free of pandas and scikit-learn."""

from __future__ import annotations

from testbed_domain.errors import DomainError
from testbed_domain.features import Label
from testbed_domain.use_cases.base import USE_CASES, Generator, Sample, UseCase

__all__ = ["ANY", "USE_CASES", "Generator", "Label", "Sample", "UseCase", "get_use_case"]

ANY = "any"
"""Name of the use case that is inferred from the user's own table."""


def get_use_case(name: str) -> UseCase:
    """The use case called ``name``.

    Raises:
        DomainError: there is none; the message lists those there are.
    """
    try:
        return USE_CASES[name]
    except KeyError:
        if name == ANY:
            raise DomainError(
                "the use case any comes from a table: give the file and its target column, or "
                "the artefact of a model that is trained on it"
            ) from None
        raise DomainError(
            f"unknown use case {name!r}; choose one of: {', '.join(USE_CASES)}, {ANY}"
        ) from None
