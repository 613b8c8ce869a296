"""YAML files that a run reads: one reader, one kind of error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from testbed.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read_yaml(path: Path, what: str = "") -> Any:  # noqa: ANN401 - whatever a file may hold
    """The document that a file holds.

    Args:
        path: the file; read as UTF-8.
        what: what kind of file it is, for the error.

    Raises:
        UsageError: it can't be read, isn't YAML, or is nested too deeply; one line.
    """
    named = f"{what} {path}".lstrip()
    try:
        # libyaml's parser takes a tenth of the time of the one in Python.
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except RecursionError as error:
        raise UsageError(f"cannot read {named}: it is nested too deeply") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {named}: {' '.join(str(error).split())}") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a file of a run's configuration holds.

    Raises:
        UsageError: it can't be read, or holds something else.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise UsageError(f"{path} holds no mapping")
    return document
