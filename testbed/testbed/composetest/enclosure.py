"""Namespaces of its own for what runs here as root: it ends whole, and leaves nothing behind.

When the first process of the namespaces ends, the kernel kills all that runs in them, and with the
last of them go mounts, bridges and packet filters; the machine's own are never touched. Control
groups alone stay, in a folder that is removed here.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

#: Name of the control group below which the containers are.
CONTROL_GROUP: Final = "testbed-compose-test"
_GROUPS: Final = Path("/sys/fs/cgroup")
_LOOPBACK: Final = "ip link set lo up && "


def enclosed(*argv: str, network: bool = False) -> tuple[str, ...]:
    """A command in namespaces of its own.

    Args:
        argv: the command; it has process id 2, below an init that buries the orphans.
        network: whether the network is its own too, with nothing but a loopback device.
    """
    spaces = [
        "--mount",
        "--propagation",
        "slave",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    if not network:
        return ("unshare", *spaces, "docker-init", "--", *argv)
    script = f'{_LOOPBACK}exec docker-init -- "$@"'
    return ("unshare", *spaces, "--net", "sh", "-c", script, "enclosed", *argv)


def remove_control_groups(root: Path = _GROUPS) -> None:
    """Remove the containers' control groups, which are empty once their processes have ended.

    Args:
        root: where the control groups are mounted, one hierarchy or several.
    """
    for top in (root / CONTROL_GROUP, *root.glob(f"*/{CONTROL_GROUP}")):
        below = [folder for folder in top.rglob("*") if folder.is_dir()]
        for folder in (*sorted(below, reverse=True), top):
            with contextlib.suppress(OSError):  # another hierarchy has none, or one is not empty
                folder.rmdir()
