"""Programs with mounts of their own: what is mounted for one of them no other process sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_own_mounts(script: str, place: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command line of a shell that mounts and becomes the program.

    Args:
        script: mounts at ``$0`` and ends with ``exec "$@"``.
        place: where it mounts.
        argv: of the program.
    """
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    return ("unshare", "--mount", *user, "sh", "-c", script, place, *argv)
