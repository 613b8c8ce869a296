"""A challenger that only the API knows: the model of the run under another name."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import httpx
from testbed_domain.artefact import MANIFEST, content_version, file_hash, load_artefact
from testbed_domain.files import write_atomic

from testbed.clients import loopback
from testbed.errors import StackError
from testbed.faults.rig.control import bearer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME: Final = "stranger"
NOTE: Final = "stranger.txt"
TIMEOUT: Final = 10.0  # seconds in which the API must load it


def copy_of(model: Path) -> Path:
    """Folder of the copy of a run's model, which is there once a challenger was put."""
    return model.with_name(f"{model.name}-{NAME}")


def copy_under_another_name(model: Path, out: Path) -> Path:
    """Copy an artefact as the model ``stranger``, whose version is another one.

    Args:
        model: folder of the artefact.
        out: folder to make.
    """
    shutil.copytree(model, out)
    (out / NOTE).write_text("The same model under another name.\n", encoding="utf-8")
    artefact = load_artefact(model)
    files = {**artefact.files, NOTE: file_hash(out / NOTE)}
    version = content_version(artefact.use_case, artefact.schema, files)
    manifest = artefact.manifest() | {"name": NAME, "files": files, "version": version}
    write_atomic(out / MANIFEST, json.dumps(manifest, indent=2))
    return out


def put(
    management: Sequence[str], model: Path, *, split: float, token_file: Path | None = None
) -> None:
    """Let each replica load a copy of the model as its challenger.

    Args:
        management: management address of each replica.
        model: folder of the run's model; the copy is made beside it.
        split: share of the requests that it answers.
        token_file: file of the token that changes there need.

    Raises:
        StackError: a replica did not take it.
    """
    copy = copy_of(model)
    if not copy.exists():
        copy_under_another_name(model, copy)
    body = {"artefact": str(copy.resolve()), "split": split}
    for address in management:
        _ask("PUT", address, token_file, body)


def withdraw(management: Sequence[str], token_file: Path | None = None) -> None:
    """Take it away again.

    Raises:
        StackError: a replica did not answer.
    """
    for address in management:
        _ask("DELETE", address, token_file)


def _ask(
    method: str, address: str, token_file: Path | None, body: dict[str, object] | None = None
) -> None:
    headers = bearer(token_file)
    url = f"http://{address}/models/challenger"
    try:
        reply = loopback.request(method, url, json=body, headers=headers, timeout=TIMEOUT)
        reply.raise_for_status()
    except httpx.HTTPError as error:
        raise StackError(f"the challenger could not be changed: {error}") from error
