"""The stack of a run: started, announced to other terminals, stopped at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from testbed.active import ActiveStack, withdraw
from testbed.layout import RunLayout
from testbed.preparation import Prepared, scrape_keys
from testbed.stack.components import stack_components
from testbed.stack.ownresolver import WithOwnResolver
from testbed.stack.process import Supervisor
from testbed.stack.smalldisk import OnSmallDisk
from testbed.stack.stack import Stack
from testbed.stack.toxiproxy import toxiproxy
from testbed.timeline import Timeline


@contextmanager
def running_stack(
    prepared: Prepared, timeline: Timeline, command: str, *, web_ui: bool = False
) -> Iterator[tuple[Stack, Supervisor]]:
    """The started stack, announced to other terminals; stopped at the end, whatever happens."""
    layout = prepared.layout
    target = prepared.context.target.components()
    components = stack_components(target, prepared.context.without, web_ui=web_ui)
    disks = prepared.scenario.disks
    components = [OnSmallDisk(each) if each.name in disks else each for each in components]
    resolvers = {fault.resolver for phase in prepared.scenario.phases for fault in phase.faults}
    components = [WithOwnResolver(each) if each.name in resolvers else each for each in components]
    if prepared.scenario.links:
        components.insert(0, toxiproxy(prepared.context))
    database = prepared.context.database
    if database is not None:
        components.insert(0, database)
    parts = prepared.planting.wrap(components)
    keys = scrape_keys(prepared.context.target, layout)
    with keys.written(), ExitStack() as ended, Supervisor() as supervisor:
        try:
            stack = Stack(prepared.context, parts, supervisor, timeline)
            stack.start(prepared.begin_with_target)
            announce(stack, layout, prepared.run_id, command)
            yield stack, supervisor
        finally:
            withdraw(layout)
            if database is not None:
                ended.callback(database.remove)  # once its process has ended
            for gate in prepared.context.gates.values():
                gate.close()


def announce(stack: Stack, layout: RunLayout, run_id: str, command: str) -> None:
    """Announce this stack to other terminals."""
    ActiveStack.of_this_process(run_id, command, stack.urls(), stack.pids()).write(layout)


Opening = Callable[[Prepared, Timeline], AbstractContextManager[tuple[Stack, Supervisor]]]
"""Gives the running stack of a run, and what runs the load."""


def own_stack(
    prepared: Prepared, timeline: Timeline
) -> AbstractContextManager[tuple[Stack, Supervisor]]:
    """A stack that is started for this run and stopped at its end."""
    return running_stack(prepared, timeline, "run")
