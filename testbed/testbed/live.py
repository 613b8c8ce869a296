"""A stack that stays until it is interrupted, for ``testbed up``."""

from __future__ import annotations

import time
from collections.abc import Callable

from testbed.preparation import Prepared
from testbed.runner import TICK
from testbed.runstack import running_stack
from testbed.scenario import Phase, Scenario
from testbed.stack.stack import Stack
from testbed.timeline import Timeline

# `up` plays nothing: Locust's web UI is in the user's hands.
LIVE_SCENARIO = Scenario(
    name="up",
    title="Stack",
    description="A stack in the user's hands.",
    time_scale=1,
    phases=(Phase(name="open", duration=0, rate=1),),
)


def hold(stack: Stack, pause: Callable[[float], None] = time.sleep) -> None:
    """Watch over a running stack until an interrupt, or until a component ends by itself.

    Raises:
        StackError: a component crashed; holds the tail of its log.
    """
    while True:
        stack.raise_on_crash()
        pause(TICK)


def live(prepared: Prepared, ready: Callable[[dict[str, str]], None]) -> None:
    """Start the stack with Locust's web UI, report its URLs, and hold it."""
    timeline = Timeline(prepared.layout.timeline)
    with running_stack(prepared, timeline, "up", web_ui=True) as (stack, _):
        ready(stack.urls())
        hold(stack)
