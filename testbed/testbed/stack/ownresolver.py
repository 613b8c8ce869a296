"""A resolver's configuration that only one component sees, so that a fault can break it.

The component is started in a mount namespace of its own, in which a file of the run lies over
``/etc/resolv.conf``: nothing has to be undone however the run ends. What resolves names by the C
library, or as Go does, reads that file again once it has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.stack.ownmounts import with_own_mounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.stack.components import Component
    from testbed.stack.context import StackContext
    from testbed.stack.process import ProcessRequest

USUAL: Final = Path("/etc/resolv.conf")
BROKEN: Final = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
"""Nobody answers names there; a port at which nobody listens refuses at once."""
MOUNT: Final = f'mount --bind "$0" {USUAL} && exec "$@"'
LOOKUP: Final = (
    "import socket, sys\n"
    "try: print('as', socket.getaddrinfo(sys.argv[1], 80)[0][4][0])\n"
    "except OSError as error: print('not:', error.strerror)\n"
)
TIMEOUT: Final = 10.0


def file_of(context: StackContext, component: str) -> Path:
    """What lies over the resolver's configuration of a component."""
    return context.layout.data / f"{component}-resolv.conf"


@dataclass(frozen=True, slots=True)
class WithOwnResolver:
    """A component that sees a resolver's configuration of its own."""

    component: Component

    @property
    def name(self) -> str:
        """See :class:`testbed.stack.components.Component`."""
        return self.component.name

    def request(self, context: StackContext) -> ProcessRequest:
        """See :class:`testbed.stack.components.Component`; a start while it is broken leaves it."""
        file = file_of(context, self.name)
        if not file.exists():
            file.write_bytes(USUAL.read_bytes())
        request = self.component.request(context)
        return replace(request, argv=covered(str(file.resolve()), request.argv))

    def not_ready(self, context: StackContext) -> str | None:
        """See :class:`testbed.stack.components.Component`."""
        return self.component.not_ready(context)


def covered(file: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that lays a file over the usual one and becomes the program."""
    return with_own_mounts(MOUNT, file, argv)


def why_not() -> str | None:
    """Why this machine permits none; None where it does."""
    if not USUAL.exists():
        return f"there is no {USUAL} that could be covered"
    said = _said(covered(str(USUAL.resolve()), ("true",)))
    return None if not said else f"{USUAL} can't be covered for one process: {said}"


def looked_up(pid: int, name: str) -> str:
    """What becomes of a name where a process is: ``as`` an address, or ``not`` and why."""
    user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
    inside = ("nsenter", "--target", str(pid), "--mount", *user)
    return _said((*inside, sys.executable, "-c", LOOKUP, name))


def _said(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not: {error}"
    return (done.stdout + done.stderr).strip().partition("\n")[0]
