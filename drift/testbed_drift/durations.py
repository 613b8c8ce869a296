"""The grammar of durations, of every option and setting of the drift job. Pure."""

from __future__ import annotations

import re
from typing import Final

from testbed_domain.errors import DomainError

UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")


class DurationError(DomainError):
    """Text that is not a duration. One line that says what to write."""


def seconds_of(text: str) -> float:
    """Seconds of a duration: ``90``, ``90s``, ``15m``, ``6h``, ``1d``, ``2w``.

    Raises:
        DurationError: it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise DurationError(f"{text!r} is not a valid duration: write 90s, 15m, 6h, 1d or 2w")
    return float(found[1]) * UNITS[found[2] or "s"]
