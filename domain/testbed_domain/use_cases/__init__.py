"""The registry of use cases, free of pandas and scikit-learn."""

from __future__ import annotations

from testbed_domain.errors import DomainError
from testbed_domain.use_cases.base import Generator, Label, Sample, UseCase
from testbed_domain.use_cases.churn import CHURN
from testbed_domain.use_cases.diabetes import DIABETES
from testbed_domain.use_cases.iris import IRIS
from testbed_domain.use_cases.titanic import TITANIC

__all__ = ["USE_CASES", "Generator", "Label", "Sample", "UseCase", "get_use_case"]

USE_CASES = {use_case.name: use_case for use_case in (DIABETES, IRIS, TITANIC, CHURN)}


def get_use_case(name: str) -> UseCase:
    """The use case called ``name``.

    Raises:
        DomainError: there is none; the message lists those there are.
    """
    try:
        return USE_CASES[name]
    except KeyError:
        raise DomainError(
            f"unknown use case {name!r}; choose one of: {', '.join(USE_CASES)}"
        ) from None
