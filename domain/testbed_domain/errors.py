"""The base of the errors that rooms above this one raise for bad input."""

from __future__ import annotations


class DomainError(Exception):
    """Expected error: bad data, an unknown name, a broken artefact. One line that says what to do."""
