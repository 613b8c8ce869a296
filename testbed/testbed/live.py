"""A stack that stays until it is interrupted, for ``testbed up``."""

from __future__ import annotations

import time
from collections.abc import Callable

from testbed.attachedrefusals import refuse_what_needs_processes
from testbed.chosenscenario import chosen_scenario
from testbed.preparation import Prepared
from testbed.runner import TICK
from testbed.runoptions import RunOptions
from testbed.runstack import running_stack
from testbed.scenario import Phase, Scenario
from testbed.selfdescription import describe
from testbed.settings import Settings
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


def live_scenario(name: str, *, other_service: bool = False) -> Scenario:
    """What a stack is started as on which a scenario can be played; it plays nothing by itself.

    Args:
        name: of a scenario that ships, or its file.
        other_service: its caller chose another service than its own.

    Raises:
        UsageError: there is none, it is not trusted, or it can't be played on a stack that runs
            already.
    """
    scenario = chosen_scenario(name, other_service=other_service)
    refuse_what_needs_processes(scenario, RunOptions())
    same = {"name": LIVE_SCENARIO.name, "title": f"Stack for {scenario.name}"}
    return scenario.model_copy(update=same)


def hold(stack: Stack, pause: Callable[[float], None] = time.sleep) -> None:
    """Watch over a running stack until an interrupt, or until a component ends by itself.

    Raises:
        StackError: a component crashed; holds the tail of its log.
    """
    while True:
        stack.raise_on_crash()
        pause(TICK)


def live(
    prepared: Prepared, ready: Callable[[Stack], None], settings: Settings | None = None
) -> None:
    """Start the stack with its web UIs, report that it is there, and hold it.

    Args:
        prepared: the stack.
        ready: gets the started stack.
        settings: of a stack that was started for a scenario, which then describes itself, so that
            it can be played there.
    """
    timeline = Timeline(prepared.layout.timeline)
    with running_stack(prepared, timeline, "up", web_ui=True) as (stack, _):
        if settings is not None:
            describe(prepared, settings)
        ready(stack)
        hold(stack)
