"""The checks of which a verdict is made; each is pure and evaluates one side of a case."""

from __future__ import annotations

from testbed.checks.case import Case, Check
from testbed.checks.registry import CHECKS

__all__ = ["CHECKS", "Case", "Check"]
