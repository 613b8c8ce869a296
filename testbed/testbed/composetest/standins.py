"""Stand-ins for the official images, made of Debian's packages and of the native mode's tools."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.composetest import debian
from testbed.composetest.plan import SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.composetest.engine import Engine
    from testbed.composetest.steps import Steps
    from testbed.stack.build import Tools

FOLDER: Final = Path(__file__).with_name("images")
CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"
BUILD_LIMIT: Final = 600.0
_SETTINGS: Final = "# SETTINGS\n"
_INDEX: Final = re.compile(r"(PIP|UV)_\w*(INDEX|HOST|TIMEOUT|RETRIES)\w*")
#: Files that show pip and uv where packages come from, with the home folder's below root's.
_FILES: Final = ("/etc/pip.conf", "/etc/uv/uv.toml")
_HOME_FILES: Final = (".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".netrc")


def settings(env: Mapping[str, str]) -> str:
    """Instructions that give builds the package index that the environment names."""
    chosen = {name: value for name, value in sorted(env.items()) if _INDEX.fullmatch(name)}
    return "".join(
        f"ENV {name}={json.dumps(value).replace('$', chr(92) + '$')}\n"
        for name, value in chosen.items()
    )


def build_stand_ins(
    stand_ins: Mapping[str, str], engine: Engine, steps: Steps, tools: Tools, folder: Path
) -> None:
    """Build the stand-ins under the names of the official images; quick when nothing changed.

    Args:
        stand_ins: name of an official image to a target of the Dockerfile of this package.
        engine: has the root file systems, and gets the images.
        steps: runs the commands.
        tools: the programs of native mode.
        folder: for the build context.
    """
    with tempfile.TemporaryDirectory(prefix="images-", dir=folder) as place:
        context = Path(place)
        _gather(context, tools)
        roots = [f"--build-arg={name.upper()}_ROOT={debian.image(name)}" for name in debian.ROOTS]
        for image, target in stand_ins.items():
            network = "host" if target in SERVERS else "none"
            command = (engine.docker, "build", "--progress=plain", f"--network={network}", *roots)
            version = f"--build-arg=VERSION={version_of(image)}"
            what = f"stand-in for {image}"
            argv = (*command, version, "--target", target, "--tag", image, str(context))
            steps.run(what, *argv, limit=BUILD_LIMIT)


def version_of(image: str) -> str:
    """The version that the tag of an image names: what comes before the first hyphen."""
    return image.rpartition(":")[2].removeprefix("v").partition("-")[0]


def _gather(context: Path, tools: Tools) -> None:
    """Put together what the Dockerfile of the stand-ins copies."""
    shutil.copytree(FOLDER, context, dirs_exist_ok=True)
    dockerfile = context / "Dockerfile"
    text = dockerfile.read_text("utf-8").replace(_SETTINGS, settings(os.environ))
    dockerfile.write_text(text, "utf-8")
    for name in tools.programs:
        shutil.copy2(tools.path(name), context / name)
    machine = context / "machine"
    for source, target in _machine_files():
        if source.is_file():
            (machine / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, machine / target)


def _machine_files() -> Iterable[tuple[Path, str]]:
    trusted = os.environ.get("SSL_CERT_FILE") or f"/{CERTIFICATES}"
    yield Path(trusted), CERTIFICATES
    for name in _FILES:
        yield Path(name), name.lstrip("/")
    for name in _HOME_FILES:
        yield Path.home() / name, f"root/{name}"
