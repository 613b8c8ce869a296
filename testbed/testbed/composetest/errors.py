"""What keeps the tool from running here, which is no failure."""

from __future__ import annotations

from testbed_domain.errors import DomainError


class NoEngineError(DomainError):
    """No container engine can be started on this machine; says why."""
