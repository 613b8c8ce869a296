"""The base of the errors that packages above this one raise for bad input."""

from __future__ import annotations


class DomainError(Exception):
    """Expected error (bad data, unknown name, broken artefact): one line that says what to do."""


class UsageError(DomainError):
    """Input of the user that can't be used: a name, a file, an option."""
