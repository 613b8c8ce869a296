"""Expected errors of the load package: one line that says what to do."""

from __future__ import annotations

from testbed_domain.errors import DomainError


class LoadError(DomainError):
    """A plan, a profile or an option that can't be used."""
