"""YAML files that a run reads: one reader, one kind of error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import yaml

from testbed_domain.errors import UsageError
from testbed_domain.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_Loaded = TypeVar("_Loaded")

# Far beyond any configuration, far below what the stack holds.
MAX_DEPTH: Final = 100
# The same of memory. Aliases count as what they stand for: a few lines of them can mean billions.
MAX_VALUES: Final = 1_000_000
MAX_BYTES: Final = 64 * 2**20
_BOOLEAN, _TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


def read_yaml(path: Path, what: str = "") -> Any:  # noqa: ANN401 - whatever a file may hold
    """The document that a file holds.

    Args:
        path: the file; read as UTF-8.
        what: what kind of file it is, for the error.

    Raises:
        UsageError: it can't be read, isn't YAML, says one key twice, or is too large with its
            aliases written out; one line.
    """
    # libyaml's parser takes a tenth of the time of the one in Python.
    return _read(path, what, lambda text: yaml.load(text, Loader=yaml.CSafeLoader))


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    Attributes:
        value: what it holds.
        node: the same with places; None where it is empty.
    """

    value: Any
    node: yaml.Node | None


def read_documents(path: Path, what: str = "") -> list[Document]:
    """All documents that a file holds, with the places of their values.

    Keys that YAML 1.1 takes for truth values, as `on` and `off`, are the words that stand there.

    Args:
        path: the file; read as UTF-8.
        what: what kind of file it is, for the error.

    Raises:
        UsageError: as for :func:`read_yaml`.
    """
    return _read(path, what, _documents)


def _documents(text: str) -> list[Document]:
    loader = yaml.CSafeLoader(text)
    found = []
    try:
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                _name_keys(node)
            found.append(Document(loader.construct_document(node), node))
    finally:
        loader.dispose()
    return found


def _name_keys(document: yaml.Node) -> None:
    """Let keys be words."""
    left, seen = [document], set[int]()
    while left:
        node = left.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.tag == _BOOLEAN:
                    key.tag = _TEXT
                left.append(value)


def _read(path: Path, what: str, load: Callable[[str], _Loaded]) -> _Loaded:
    named = f"{what} {path}".lstrip()
    try:
        text = read_regular(path, MAX_BYTES).decode()
        _check_bounds(text)
        return load(text)
    except OSError as error:
        raise UsageError(f"cannot read {named}: {error.strerror}") from error
    except _RefusedError as error:
        raise UsageError(f"cannot read {named}: {error}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {named}: {' '.join(str(error).split())}") from error
    except Exception as error:  # dates, numbers and the like raise whatever they like
        text = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"cannot read {named}: a value has no meaning: {text}") from error


class _RefusedError(Exception):
    """The document must not be built."""


@dataclass(slots=True)
class _Collection:
    """A collection that is being read; its size and depth are those of what it holds so far."""

    anchor: str | None
    mapping: bool
    size: int = 1
    depth: int = 0
    nodes: int = 0
    keys: set[tuple[bool, str]] = field(default_factory=set)

    def add(self, event: yaml.Event, size: int, depth: int) -> None:
        """Take in a value."""
        self.size += size
        self.depth = max(self.depth, depth)
        self.nodes += 1
        if self.mapping and self.nodes % 2 and isinstance(event, yaml.ScalarEvent):
            key = (event.implicit[0], event.value)
            if key in self.keys and event.value != "<<":
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise _RefusedError(
                    f"line {line}: the key {event.value!r} stands twice in one mapping"
                )
            self.keys.add(key)


@dataclass(slots=True)
class _Bounds:
    """Sees that a document may be built, from the events of its parser.

    libyaml's composer calls itself for each level and ends the process where the stack is full, and
    building a mapping writes out what it merges; the parser does neither.
    """

    within: list[_Collection] = field(default_factory=list)
    anchors: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        """Take in the next event.

        Raises:
            _RefusedError: what was read so far is enough to refuse.
        """
        if isinstance(event, yaml.CollectionStartEvent):
            self.within.append(_Collection(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            self._limit(1, 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.within.pop()
            self._add(event, done.anchor, done.size, done.depth + 1)
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == outer.anchor for outer in self.within):
                raise _RefusedError(f"the alias *{event.anchor} stands within what it means")
            self._add(event, None, *self.anchors.get(str(event.anchor), (1, 0)))
        elif isinstance(event, yaml.ScalarEvent):
            self._add(event, event.anchor, 1, 0)

    def _add(self, event: yaml.Event, anchor: str | None, size: int, depth: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (size, depth)
        self._limit(size, depth)
        if self.within:
            self.within[-1].add(event, size, depth)

    def _limit(self, size: int, depth: int) -> None:
        if len(self.within) + depth > MAX_DEPTH:
            raise _RefusedError(f"it is nested more than {MAX_DEPTH} levels deep")
        if size + sum(outer.size for outer in self.within) > MAX_VALUES:
            raise _RefusedError(f"with its aliases written out it holds over {MAX_VALUES:,} values")


def _check_bounds(text: str) -> None:
    bounds = _Bounds()
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        bounds.take(event)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a file of a run's configuration holds.

    Raises:
        UsageError: it can't be read, or holds something else.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise UsageError(f"{path} holds no mapping")
    return document
