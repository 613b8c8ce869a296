"""YAML files that a run reads: one reader, one kind of error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from testbed.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

# Far beyond any configuration, far below what the stack holds.
MAX_DEPTH: Final = 100


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
        text = path.read_text(encoding="utf-8")
        if _depth(text) <= MAX_DEPTH:
            # libyaml's parser takes a tenth of the time of the one in Python.
            return yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        raise UsageError(f"cannot read {named}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {named}: {' '.join(str(error).split())}") from error
    except Exception as error:  # dates, numbers and the like raise whatever they like
        text = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"cannot read {named}: a value has no meaning: {text}") from error
    raise UsageError(f"cannot read {named}: it is nested more than {MAX_DEPTH} levels deep")


def _depth(text: str) -> int:
    """How deeply collections are nested in a document.

    libyaml's composer calls itself for each level and ends the process where the stack is full;
    its parser, which is asked here, does not. Reading stops one level beyond the limit.
    """
    depth = deepest = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            deepest = max(deepest, depth)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if deepest > MAX_DEPTH:
            break
    return deepest


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a file of a run's configuration holds.

    Raises:
        UsageError: it can't be read, or holds something else.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise UsageError(f"{path} holds no mapping")
    return document
