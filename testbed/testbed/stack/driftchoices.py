"""What the drift job of a stack watches, and whether it renders, as the caller's variables say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# None of them is a time, so they hold at every time scale.
CHOICES: Final = (
    "TESTBED_DRIFT_SEGMENT",
    "TESTBED_DRIFT_SEGMENTS",
    "TESTBED_DRIFT_SEGMENT_ROWS",
    "TESTBED_DRIFT_VERSIONS",
    "TESTBED_DRIFT_HTML",
)
ARTEFACTS: Final = "TESTBED_DRIFT_ARTEFACTS"
RELATIONS_ROWS: Final = "TESTBED_DRIFT_RELATIONS_ROWS"


def chosen(callers: Mapping[str, str]) -> dict[str, str]:
    """The variables of the drift job that the caller has set; an empty one is none.

    Args:
        callers: the caller's environment.
    """
    found = {name: value for name in CHOICES if (value := callers.get(name))}
    if folder := callers.get(ARTEFACTS):
        found[ARTEFACTS] = str(Path(folder).resolve())  # components work in another directory
    return found
