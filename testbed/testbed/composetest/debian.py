"""Root file systems out of Debian's packages, from the mirror that this machine's apt uses."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.composetest.enclosure import enclosed
from testbed.composetest.steps import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.composetest.engine import Engine
    from testbed.composetest.steps import Steps

SUITE: Final = "bookworm"
#: Image to the packages that it has beside the least that Debian needs.
ROOTS: Final = {
    "python": ("ca-certificates", "python3-pip", "python3.11"),
    "postgres": ("busybox-static", "postgresql-15"),
}
BOOTSTRAP_LIMIT: Final = 600.0
_FORMAT: Final = "$(ORIGIN) $(COMPONENT) $(CREATED_BY) $(REPO_URI)"
_LEFT_OUT: Final = ("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/man")


def mirror(targets: str) -> str | None:
    """The mirror of Debian's main component, without which debootstrap takes its own.

    Args:
        targets: what ``apt-get indextargets`` printed in the format of this module.
    """
    for line in targets.splitlines():
        match line.split():
            case ["Debian", "main", "Packages", address] if "security" not in address:
                return address
    return None


def image(name: str) -> str:
    """Name of the image that holds a root file system; another one when its packages change."""
    packages = "-".join(sorted(ROOTS[name])).replace("+", "")
    return f"testbed-compose-test/{name}-root:{SUITE}-{packages}"


def provide_roots(engine: Engine, steps: Steps, folder: Path) -> None:
    """Make the images of :data:`ROOTS` that the engine does not have yet.

    Args:
        engine: gets them.
        steps: runs the commands.
        folder: for downloaded packages, and for the files while they are made.

    Raises:
        StackError: a package can't be had.
    """
    for name, packages in ROOTS.items():
        if engine.has(image(name)):
            say(f"Debian with {', '.join(packages)}: in cache")
            continue
        with tempfile.TemporaryDirectory(prefix="root-", dir=folder) as place:
            _make(name, engine, steps, Path(place), folder)


def _make(name: str, engine: Engine, steps: Steps, place: Path, folder: Path) -> None:
    root, archive, packages = place / "root", place / "root.tar", folder / "packages"
    packages.mkdir(exist_ok=True)
    source = mirror(_targets(steps.env))
    bootstrap = (
        *("debootstrap", "--variant=minbase", f"--cache-dir={packages}"),
        *(f"--include={','.join(ROOTS[name])}", SUITE, str(root), *([source] if source else [])),
    )
    # What it mounts in the new root goes with its namespaces, however it ends.
    what = f"Debian with {', '.join(ROOTS[name])}"
    steps.run(what, *enclosed(*bootstrap), limit=BOOTSTRAP_LIMIT)
    left_out = (f"--exclude={path}/*" for path in _LEFT_OUT)
    tar = ("tar", "--create", "--one-file-system", "--file", str(archive), *left_out)
    steps.run(f"archive of {name}", *tar, "--directory", str(root), ".", limit=120.0)
    engine.ask("import", str(archive), image(name), limit=300.0)


def _targets(env: Mapping[str, str]) -> str:
    apt = shutil.which("apt-get")
    if apt is None:
        return ""
    argv = [apt, "indextargets", "--format", _FORMAT]
    return subprocess.run(argv, env=dict(env), capture_output=True, text=True, check=False).stdout
