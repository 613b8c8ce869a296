"""How models are served, as settings say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Batching = Literal["auto", "always", "never"]
ENTRY_POINTS: Final = "testbed.models"
"""Group of entry points of models, each as :mod:`testbed_api.serving.callables` takes it."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of batching.

    Attributes:
        rows: most rows in one batch.
        wait: most seconds that a batch is held back while the model is idle.
        queue: most rows that wait; what comes on top is shed.
    """

    rows: int = 256
    wait: float = 0.01
    queue: int = 2_048


@dataclass(frozen=True, slots=True)
class Serving:
    """How models are served.

    Attributes:
        batching: ``auto`` goes by the measured time of an inference; ``never`` asks the model for
            every request alone.
        limits: bounds of batching.
        timeout: seconds within which a prediction is made or refused.
        cache: answers cached per model version; 0 caches none.
    """

    batching: Batching = "auto"
    limits: BatchLimits = field(default_factory=BatchLimits)
    timeout: float = 30.0
    cache: int = 0
