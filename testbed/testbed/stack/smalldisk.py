"""A small disk for what one component writes: a tmpfs that only its own processes see.

It is mounted in a mount namespace of the component, so that nothing has to be unmounted however the
run ends. Who is not root gets one together with a user namespace, where the system permits that.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from testbed.stack.ownmounts import with_own_mounts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.stack.components import Component
    from testbed.stack.context import StackContext
    from testbed.stack.process import ProcessRequest

SIZE: Final = "64m"
"""More than any run writes there, and small enough to be filled from memory."""

MOUNT: Final = f'mount -t tmpfs -o size={SIZE} none "$0" && exec "$@"'
TIMEOUT: Final = 10.0


def folder(context: StackContext, component: str) -> Path:
    """What lies on the small disk of a component: its data."""
    return context.layout.data / component


@dataclass(frozen=True, slots=True)
class OnSmallDisk:
    """A component whose data lie on a small disk; empty again after each start."""

    component: Component

    @property
    def name(self) -> str:
        """See :class:`testbed.stack.components.Component`."""
        return self.component.name

    def request(self, context: StackContext) -> ProcessRequest:
        """See :class:`testbed.stack.components.Component`."""
        place = folder(context, self.name)
        place.mkdir(parents=True, exist_ok=True)
        request = self.component.request(context)
        return replace(request, argv=mounted(str(place.resolve()), request.argv))

    def not_ready(self, context: StackContext) -> str | None:
        """See :class:`testbed.stack.components.Component`."""
        return self.component.not_ready(context)


def mounted(place: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that mounts the disk at a place and becomes the program."""
    return with_own_mounts(MOUNT, place, argv)


def why_not() -> str | None:
    """Why this machine permits no such disk; None where it does."""
    try:
        done = subprocess.run(
            mounted("/tmp", ("true",)),  # noqa: S108 - in a namespace that ends with it
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"a disk of its own can't be mounted: {error}"
    said = (done.stdout + done.stderr).strip().partition("\n")[0]
    return None if done.returncode == 0 else f"a disk of its own can't be mounted: {said}"
