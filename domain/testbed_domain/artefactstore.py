"""Folders of artefacts: a finished one is put in place at once, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from testbed_domain.artefact import ArtefactError, load_artefact

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact


def install(artefact: Artefact, out: Path) -> Artefact:
    """Give the finished artefact its final name, unless the same version stands there.

    Args:
        artefact: in a temporary folder beside ``out``, which it leaves.
        out: its folder; holds either the old or the whole new artefact.
    """
    if holds(out, artefact.version):
        return load_artefact(out)
    aside = artefact.path.with_name(f"{artefact.path.name}.old")
    if out.exists():
        out.rename(aside)
    try:
        artefact.path.rename(out)
    except OSError:
        # Another training may have put the same model there in this very moment.
        if not holds(out, artefact.version):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load_artefact(out)


def copy_to(artefact: Artefact, out: Path) -> Artefact:
    """Install a copy of an artefact, which stays where it is.

    Args:
        artefact: any.
        out: folder of the copy, as of :func:`install`; made where it is missing.
    """
    if holds(out, artefact.version):
        return load_artefact(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".copy.", dir=out.parent) as temporary:
        return install(load_artefact(shutil.copytree(artefact.path, Path(temporary) / "new")), out)


def holds(path: Path, version: str) -> bool:
    """Whether a folder is a whole artefact of that version."""
    try:
        return load_artefact(path).version == version
    except ArtefactError:
        return False  # nothing there, or broken, or of another format: it may be replaced
