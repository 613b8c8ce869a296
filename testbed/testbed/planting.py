"""Changes to a run that its verdict knows nothing of: how a defect is planted, for the self-test.

A planting never touches the checkout or the installed packages. It edits the rendered
configuration in the run's folder, calls a function in a component's process before the component
starts, changes the load plan that Locust reads, or acts on processes while the run is played. The
scenario that the verdict holds the run against stays as it was.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from testbed_load.plan import LoadPlan

    from testbed.stack.components import Component
    from testbed.stack.context import StackContext
    from testbed.stack.process import ProcessRequest

LAUNCHER: Final = "testbed.selftest.launcher"
RUNNER: Final = "runner"
"""In place of a component: the process that plays the run."""
SOURCES: Final = ("prometheus", "alertmanager", "otel")


def _unchanged(_folder: Path) -> None:
    pass


def _as_planned(plan: LoadPlan) -> LoadPlan:
    return plan


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is done to a component's process while the run is played.

    Attributes:
        after: real seconds from the start of the load.
        component: its name in the stack.
        do: gets its process id.
    """

    after: float
    component: str
    do: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Planting:
    """What is changed.

    Attributes:
        source: gets a copy of the folders that configuration is rendered from (``prometheus``,
            ``alertmanager``, ``otel``), which then counts as what the user gave; None copies none.
        edit: gets the folder with the rendered configuration.
        plan: gets the load plan, and gives the one that Locust reads.
        patches: component to ``module:function``, called in its process before it starts;
            :data:`RUNNER` is the process that plays the run.
        environment: component to variables that are added to its environment.
        acts: what is done while the run is played.
    """

    source: Callable[[Path], None] | None = None
    edit: Callable[[Path], None] = _unchanged
    plan: Callable[[LoadPlan], LoadPlan] = _as_planned
    patches: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()

    def source_of(self, shipped: Path, folder: Path) -> Path:
        """The folder that configuration is rendered from.

        Args:
            shipped: the checkout's.
            folder: gets the copy, where this planting changes one.
        """
        if self.source is None:
            return shipped
        for name in SOURCES:
            shutil.copytree(shipped / name, folder / name)
        self.source(folder)
        return folder

    def wrap(self, components: Sequence[Component]) -> list[Component]:
        """The components of the stack, started as this planting wants them."""
        return [
            PlantedComponent(component, self) if self.touches(component.name) else component
            for component in components
        ]

    def touches(self, component: str) -> bool:
        """Whether it changes how a component is started."""
        return component in self.patches or component in self.environment

    def start(self, request: ProcessRequest) -> ProcessRequest:
        """A process as this planting wants it started."""
        patch = self.patches.get(request.name)
        argv = request.argv if patch is None else launched(request.argv, patch)
        variables = self.environment.get(request.name, {})
        return replace(request, argv=argv, env={**request.env, **variables})


@dataclass(frozen=True, slots=True)
class PlantedComponent:
    """A component that is started with something planted in it."""

    component: Component
    planting: Planting

    @property
    def name(self) -> str:
        """See :class:`testbed.stack.components.Component`."""
        return self.component.name

    def request(self, context: StackContext) -> ProcessRequest:
        """See :class:`testbed.stack.components.Component`."""
        return self.planting.start(self.component.request(context))

    def not_ready(self, context: StackContext) -> str | None:
        """See :class:`testbed.stack.components.Component`."""
        return self.component.not_ready(context)


NOTHING: Final = Planting()
"""An honest run."""


def launched(argv: Sequence[str], patch: str) -> tuple[str, ...]:
    """The command line that calls a patch before it runs a Python module.

    Raises:
        ValueError: the component is no Python module.
    """
    program, option, module, *rest = argv
    if program != sys.executable or option != "-m":
        raise ValueError(f"only a Python module can be patched, not {program}")
    return (program, "-m", LAUNCHER, patch, module, *rest)
