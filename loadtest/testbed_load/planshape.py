"""The Locust shape that follows a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from locust import LoadTestShape

if TYPE_CHECKING:
    from testbed_load.playback import Playback

# Users wait for the beginning once they are there, so there is no reason to spawn them slowly;
# above 100 per second Locust warns.
SPAWN_RATE: Final = 100.0
_TICK: Final = 1.0


class PlanShape(LoadTestShape):
    """Keeps the plan's pool of users until the load is over.

    The rate comes from the schedule that the users share, not from their number.
    """

    playback: ClassVar[Playback]

    def tick(self) -> tuple[int, float] | None:
        """The pool, or None as soon as the load is over; Locust asks about once a second."""
        spawned = self.runner is not None and self.runner.user_count > 0
        if self.playback.wait_over(_TICK if spawned else 0.0):
            return None
        return self.playback.users, SPAWN_RATE
