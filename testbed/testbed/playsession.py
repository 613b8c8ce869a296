"""Scenarios one after the other on one stack, which is started with the first and stopped at last.

A scenario that needs a stack started otherwise gets one, and the earlier one is stopped. One whose
faults need the processes of the stack themselves is played on a stack of its own.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Self

from testbed.attached import attached_stack, prepare_attached
from testbed.board import Board
from testbed.chosenscenario import chosen_scenario
from testbed.console import terminal
from testbed.playedrun import PlayedRun
from testbed.preparation import Prepared, prepare
from testbed.resources import scenario_files
from testbed.runner import play
from testbed.runoptions import RunOptions
from testbed.runstack import Opening, own_stack, running_stack
from testbed.scenario import Scenario
from testbed.scenarioenv import scenario_environment
from testbed.schedule import schedule
from testbed.selfdescription import describe
from testbed.timeline import Timeline

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.settings import Settings
    from testbed.stack.recipe import Progress
    from testbed.usecasechoice import Say


@dataclass(frozen=True, slots=True)
class RunningStack:
    """The stack of a session.

    Attributes:
        file: its description of itself.
        needs: what it was started with.
        ending: stops it.
    """

    file: Path
    needs: tuple[object, ...]
    ending: ExitStack


class PlaySession:
    """Plays scenarios; a context that leaves no process behind.

    Args:
        settings: effective settings.
        options: of every run; its ``out`` is the folder in which each gets one of its own.
        say: is notified of what goes on.
        progress: is notified of how far the tools are.
        command: what `testbed status` shows as what started the stack.
    """

    def __init__(
        self,
        settings: Settings,
        options: RunOptions,
        *,
        say: Say,
        progress: Progress,
        command: str = "run",
    ) -> None:
        self._settings = settings
        self._options = options
        self._say = say
        self._progress = progress
        self._command = command
        self._running: RunningStack | None = None
        self.stacks = 0
        """How many were started for more than one scenario."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the stack."""
        running, self._running = self._running, None
        if running is not None:
            self._say("stack: stopping")
            running.ending.close()

    def play(self, name: str, seed: int | None = None) -> PlayedRun:
        """Play a scenario.

        Args:
            name: of a scenario that ships, or its file.
            seed: of the traffic; None takes that of the session.

        Raises:
            DomainError: it could not be played; the stack is stopped, and the next one starts anew.
        """
        scenario = chosen_scenario(name, other_service=self._options.target is not None)
        if self._options.rules and name in scenario_files():
            scenario = scenario.for_other_rules()
        if self._options.target is not None:  # in place of the scenario's
            scenario = scenario.model_copy(update={"service": None})
        options = self._options if seed is None else replace(self._options, seed=seed)
        if options.out is not None:
            options = replace(options, out=_new_folder(options.out / scenario.name))
        try:
            if needs_own_stack(scenario):
                self.close()
                prepared = prepare(
                    scenario, options, self._settings, progress=self._progress, say=self._say
                )
                return self._played(prepared, own_stack)
            file = self._stack_for(scenario, options)
            attached = replace(options, rules=None, replicas=1, target=None)
            prepared = prepare_attached(scenario, attached, self._settings, file, say=self._say)
            return self._played(prepared, partial(attached_stack, file))
        except BaseException:
            self.close()  # nobody knows what state it is in
            raise

    def _played(self, prepared: Prepared, opening: Opening) -> PlayedRun:
        scenario, factor = prepared.scenario, prepared.factor
        actions, total = schedule(scenario, factor), scenario.duration / factor
        self._say(f"run: {prepared.run_id}, one real second is {factor:g} s of production time")
        with Board(terminal("stderr"), scenario.title, actions, total) as board:
            verdict = play(prepared, board, opening=opening)
        return PlayedRun(verdict, prepared.layout)

    def _stack_for(self, scenario: Scenario, options: RunOptions) -> Path:
        """The description of a stack on which it can be played."""
        needs = stack_needs(scenario, options, self._settings)
        if self._running is not None and self._running.needs != needs:
            other = sorted({str(each) for each in set(self._running.needs) ^ set(needs)})
            self._say(f"stack: {scenario.name} needs another one ({'; '.join(other)})")
            self.close()
        if self._running is None:
            self._running = self._start(scenario, options, needs)
        return self._running.file

    def _start(
        self, scenario: Scenario, options: RunOptions, needs: tuple[object, ...]
    ) -> RunningStack:
        out = options.out and options.out.with_name(f"{options.out.name}-stack")
        own = prepare(
            scenario,
            # Else nothing but the components themselves could be sent to.
            replace(options, guarded=False, out=out),
            self._settings,
            progress=self._progress,
            say=self._say,
        )
        self.stacks += 1
        with ExitStack() as ending:
            ending.callback(own.context.claims.release)
            timeline = Timeline(own.layout.timeline)
            ending.enter_context(running_stack(own, timeline, self._command))
            return RunningStack(describe(own, self._settings), needs, ending.pop_all())


def stack_needs(scenario: Scenario, options: RunOptions, settings: Settings) -> tuple[object, ...]:
    """What a stack must have been started with: the same, and scenarios can share one."""
    factor = options.time_scale or scenario.time_scale
    environment = scenario_environment(scenario, factor, settings)
    service = options.target or scenario.service
    tested = "the bundled API"
    if service is not None:
        written = hashlib.sha256(service.model_dump_json().encode()).hexdigest()
        tested = f"the service {service.name} {written[:8]}"
    return (tested, options.use_case or scenario.use_case, *sorted(environment.items()))


def _new_folder(wanted: Path) -> Path:
    """The folder, or the first of that name with a number that isn't there."""
    folder, number = wanted, 1
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def needs_own_stack(scenario: Scenario) -> bool:
    """Whether a scenario needs hold of the processes, or files that only their runner has."""
    faults = (fault for phase in scenario.phases for fault in phase.faults)
    return (
        any(not fault.by_http for fault in faults)
        or scenario.settings.collector.queue_size is not None
        or scenario.settings.api.keys
        or scenario.settings.has_database
        or any(each.log_files for each in scenario.assertions)
    )
