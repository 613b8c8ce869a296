"""Decisions of the drift job and their causes, as scenarios and evidence name them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Decision: TypeAlias = Literal["NO_ACTION", "ALERT", "RETRAIN"]
DriftCause: TypeAlias = Literal["columns", "prediction", "target", "concept", "relations"]

SEVERITIES: Final[tuple[Decision, ...]] = ("NO_ACTION", "ALERT", "RETRAIN")
"""Decisions of the drift job, the mildest first."""
