"""Rules as people have them: files, folders with folders below, several documents, PrometheusRules.

Whatever Prometheus, its operator and Thanos load can be read. What none of them would load is a
mistake, with file and line; what only the others know is left out and named.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from testbed_domain.errors import UsageError
from testbed_domain.yamlfile import Document, read_documents

from testbed_rules.timescale import RuleDurationError, Tree, parse_duration

SUFFIXES: Final = (".yml", ".yaml", ".rules")
_FILE: Final = frozenset({"groups"})
_GROUP: Final = frozenset({"name", "interval", "query_offset", "limit", "labels", "rules"})
_RULE: Final = frozenset(
    {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
)
_DURATIONS: Final = frozenset({"interval", "query_offset", "for", "keep_firing_for"})
_TEXTS: Final = _DURATIONS | {"name", "alert", "record", "expr"}
_MAPPINGS: Final = ("labels", "annotations")
_NULL: Final = "tag:yaml.org,2002:null"
# Stands for a rule with a mistake while promtool looks at the others; it is never played.
_PLACEHOLDER: Final[Tree] = {"record": "testbed:mistake", "expr": "0"}
# Keys of Thanos, Mimir and Loki, which Prometheus refuses and a run does not need.
_FOREIGN: Final = frozenset({"partial_response_strategy", "source_tenants", "evaluation_delay"})
_OPERATOR: Final = "PrometheusRule"
_LISTS: Final = frozenset({"List", f"{_OPERATOR}List"})
_YAML_LINE: Final = re.compile(r"\bline (\d+)")
SHOWN: Final = 20
"""Mistakes that an error lists at most."""


@dataclass(frozen=True, slots=True)
class RuleMistake:
    """What keeps a file from being loaded.

    Attributes:
        path: the file.
        line: from 1; 0 where it is the file as a whole.
        reason: what is wrong, one line.
    """

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{self.path}{line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One rules file, as Prometheus reads it.

    Attributes:
        path: where it was read.
        document: its groups.
        lines: name of a group and index of a rule (-1: the group) to the line of ``path``.
    """

    path: Path
    document: Tree
    lines: Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What was read.

    Attributes:
        files: name that the file gets in a run to the file; in the order of their paths.
        notes: what is left out, one line each.
        mistakes: what keeps them from being played; refused with those that promtool finds.
    """

    files: Mapping[str, RuleFile]
    notes: tuple[str, ...] = ()
    mistakes: tuple[RuleMistake, ...] = ()

    @property
    def documents(self) -> dict[str, Tree]:
        """Name of a file to its content."""
        return {name: file.document for name, file in self.files.items()}


def refuse(mistakes: Sequence[RuleMistake]) -> None:
    """Refuse rules that have mistakes.

    Raises:
        UsageError: there are some; a line for each.
    """
    if mistakes:
        lines = [str(mistake) for mistake in mistakes[:SHOWN]]
        if len(mistakes) > SHOWN:
            lines.append(f"and {len(mistakes) - SHOWN} more")
        raise UsageError("\n".join(lines))


def read_rule_set(path: Path | None) -> RuleSet:
    """Read a rules file, or all of a folder and those below it.

    Args:
        path: of the file or folder; None for no rules.

    Raises:
        UsageError: there is none.
    """
    if path is None:
        return RuleSet({})
    reading = _Reading(path if path.is_dir() else path.parent)
    for file in _files(path):
        reading.add(file)
    if not reading.files and not reading.mistakes:
        left_out = f" ({'; '.join(reading.notes)})" if reading.notes else ""
        raise UsageError(f"{path} holds no rules: give a rules file, or a folder of them{left_out}")
    return RuleSet(reading.files, tuple(reading.notes), tuple(reading.mistakes))


def read_rules(path: Path) -> dict[str, Tree]:
    """The documents of :func:`read_rule_set`, by file name.

    Raises:
        UsageError: there is none, or they have mistakes; a line for each.
    """
    found = read_rule_set(path)
    refuse(found.mistakes)
    return found.documents


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UsageError(f"{path} does not exist: give a rules file, or a folder of them")
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    seen: set[str] = set()
    for folder, below, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        # A link back to where it lies has no end.
        below[:] = [] if real in seen else [each for each in below if not each.startswith(".")]
        if real not in seen:
            found += [Path(folder, name) for name in names if not name.startswith(".")]
        seen.add(real)
    return sorted(file for file in found if file.suffix in SUFFIXES)


@dataclass(slots=True)
class _Reading:
    """Takes in files."""

    base: Path
    files: dict[str, RuleFile] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mistakes: list[RuleMistake] = field(default_factory=list)

    def add(self, path: Path) -> None:
        try:
            documents = read_documents(path)
        except UsageError as error:
            reason = str(error).removeprefix(f"cannot read {path}: ")
            if "unhashable" in reason or "flow mapping" in reason:
                reason += "; put a text with {{ … }} in quotes"
            found = _YAML_LINE.search(reason)
            self.mistakes.append(RuleMistake(path, int(found[1]) if found else 0, reason))
            return
        held = [document for document in documents if document.value is not None]
        plain = sum(not _of_operator(document.value) for document in held)
        if len(held) > 1 and plain:
            self.notes.append(
                f"{path} holds {len(held)} documents, all of which are played; Prometheus itself "
                "reads the first one only"
            )
        for document in held or [_EMPTY]:
            self._document(path, document)

    def _document(self, path: Path, document: Document) -> None:
        value, node = document.value, document.node
        if items := _listed(value, node):
            for item, place in items:
                self._document(path, Document(item, place))
            return
        if _of_operator(value):
            value, node = value.get("spec") or {}, _child(node, "spec")
        elif isinstance(value, Mapping) and "kind" in value and "apiVersion" in value:
            self.notes.append(f"{path}: {value['kind']} is left out: it holds no rules")
            return
        if not isinstance(value, Mapping):
            self._mistake(path, node, "a rules file must be a mapping with the key groups")
            return
        misspelt = difflib.get_close_matches("groups", map(str, value))
        if value and "groups" not in value and not misspelt:
            self.notes.append(f"{path} is left out: it has no rule groups")
            return
        reader = _Document(path, self.mistakes, self.notes)
        tree = reader.read(value, node)
        self.files[self._name(path)] = RuleFile(path, tree, reader.lines)

    def _mistake(self, path: Path, node: yaml.Node | None, reason: str) -> None:
        self.mistakes.append(RuleMistake(path, _line(node), reason))

    def _name(self, path: Path) -> str:
        """Name of a file in a run: that of the file, longer only where another one has it."""
        names = [path.stem, "-".join(path.relative_to(self.base).with_suffix("").parts)]
        names += [f"{names[1]}-{number}" for number in range(2, 2 + len(self.files))]
        return next(f"{name}.yml" for name in names if f"{name}.yml" not in self.files)


@dataclass(slots=True)
class _Document:
    """Reads the groups of one document."""

    path: Path
    mistakes: list[RuleMistake]
    notes: list[str]
    lines: dict[tuple[str, int], int] = field(default_factory=dict)

    def read(self, value: Mapping[str, Any], node: yaml.Node | None) -> Tree:
        self._keys(value, node, _FILE, "the file")
        groups = []
        for entry, place in self._list(value, node, "groups", "the file"):
            if group := self._group(entry, place):
                groups.append(group)
        return {"groups": groups}

    def _group(self, entry: Any, node: yaml.Node) -> Tree | None:  # noqa: ANN401 - YAML
        if not self._is_mapping(entry, node, "a group"):
            return None
        name = _text(_child(node, "name"))
        if not name:
            self._say(node, "a group has no name")
            return None
        where = f"group {name}"
        if (name, -1) in self.lines:
            self._say(node, f"{where} is repeated in this file: give each group a name of its own")
            return None
        self.lines[name, -1] = _line(node)
        group = self._known(entry, node, _GROUP, where)
        self._texts(group, node, where)
        limit = group.get("limit", 0)
        if not isinstance(limit, int) or isinstance(limit, bool):
            self._say(_child(node, "limit"), f"limit of {where} must be a whole number")
            del group["limit"]
        rules = []
        for index, (rule, place) in enumerate(self._list(entry, node, "rules", where)):
            self.lines[name, index] = _line(place)
            mapping = self._is_mapping(rule, place, f"a rule of {where}")
            rules.append(self._rule(rule, place, where) if mapping else _PLACEHOLDER)
        return {**group, "rules": rules}

    def _rule(self, entry: Mapping[str, Any], node: yaml.Node, where: str) -> Tree:
        names = [found for key in ("alert", "record") if (found := _text(_child(node, key)))]
        title = names[0] if names else f"a rule of {where}"
        rule = self._known(entry, node, _RULE, title)
        given = [key for key in ("alert", "record") if entry.get(key) not in (None, "")]
        if len(given) != 1:
            both = "both alert and record" if given else "neither alert nor record"
            self._say(node, f"{title} has {both}: a rule has one of them")
        if entry.get("expr") in (None, ""):
            self._say(node, f"{title} has no expr")
        elif "expr" in rule and len(names) == len(given) == 1:
            self._texts(rule, node, title)
            return rule
        return _PLACEHOLDER

    def _texts(self, entry: Tree, node: yaml.Node, title: str) -> None:
        """Labels and annotations as Prometheus reads them: whatever they hold is a text."""
        for key in _MAPPINGS:
            if key not in entry:
                continue
            place = _child(node, key)
            pairs = {_text(name): _text(value) for name, value in _pairs(place)}
            if not isinstance(place, yaml.MappingNode):
                self._say(place, f"{key} of {title} must be a mapping of names to texts")
            for name, value in _pairs(place):
                if _text(value) is None:
                    self._say(value, f"{key}.{_text(name)} of {title} must be a text")
            entry[key] = {
                name: value for name, value in pairs.items() if name and value is not None
            }

    def _known(
        self, entry: Mapping[str, Any], node: yaml.Node, known: frozenset[str], where: str
    ) -> Tree:
        """The keys that Prometheus knows; durations are looked at."""
        self._keys(entry, node, known, where)
        retained = {key: entry[key] for key in entry if key in known and entry[key] is not None}
        for key in _TEXTS & retained.keys():
            text = _text(_child(node, key))
            if text is None:
                self._say(_child(node, key), f"{key} of {where} must be a text")
                del retained[key]
            else:
                retained[key] = text
        for key in sorted(_DURATIONS & retained.keys()):
            try:
                parse_duration(retained[key])
            except RuleDurationError as error:
                self._say(_child(node, key), f"{key} of {where}: {error}")
                del retained[key]
        return retained

    def _keys(
        self, entry: Mapping[str, Any], node: yaml.Node | None, known: frozenset[str], where: str
    ) -> None:
        for key in entry:
            if key in known:
                continue
            if key in _FOREIGN:
                self.notes.append(f"{self.path}: `{key}` of {where} is not used by Prometheus")
                continue
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it may have {', '.join(sorted(known))}"
            self._say(_key(node, key), f"{where} has an unknown key {key}: {hint}")

    def _list(
        self, entry: Mapping[str, Any], node: yaml.Node | None, key: str, where: str
    ) -> Iterator[tuple[Any, yaml.Node]]:
        values = entry.get(key)
        place = _child(node, key)
        if values is None:
            return
        if not isinstance(values, list) or not isinstance(place, yaml.SequenceNode):
            self._say(place, f"{key} of {where} must be a list")
            return
        yield from zip(values, place.value, strict=True)

    def _is_mapping(self, entry: Any, node: yaml.Node, what: str) -> bool:  # noqa: ANN401 - YAML
        if isinstance(entry, Mapping):
            return True
        self._say(node, f"{what} must be a mapping")
        return False

    def _say(self, node: yaml.Node | None, reason: str) -> None:
        self.mistakes.append(RuleMistake(self.path, _line(node), " ".join(reason.split())))


_EMPTY: Final = Document({}, None)


def _of_operator(value: Any) -> bool:  # noqa: ANN401 - YAML
    return isinstance(value, Mapping) and value.get("kind") == _OPERATOR


def _listed(value: Any, node: yaml.Node | None) -> list[tuple[Any, yaml.Node]]:  # noqa: ANN401 - YAML
    """The objects of a ``List`` or ``PrometheusRuleList`` of Kubernetes; none where it is none."""
    if not isinstance(value, Mapping) or value.get("kind") not in _LISTS:
        return []
    items, place = value.get("items"), _child(node, "items")
    if not isinstance(items, list) or not isinstance(place, yaml.SequenceNode):
        return []
    kind = {"kind": _OPERATOR} if value["kind"] != "List" else {}
    return [
        (kind | item if isinstance(item, dict) else item, child)
        for item, child in zip(items, place.value, strict=True)
    ]


def _text(node: yaml.Node | None) -> str | None:
    """What Prometheus reads of a value where it wants a text; None where it is none.

    YAML's ``yes``, ``1.10`` and ``010`` are just these texts there.
    """
    if not isinstance(node, yaml.ScalarNode):
        return None
    return "" if node.tag == _NULL else str(node.value)


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def _child(node: yaml.Node | None, key: object) -> yaml.Node | None:
    # What is merged into a mapping stands before its own keys.
    return next((value for name, value in reversed(_pairs(node)) if name.value == str(key)), None)


def _key(node: yaml.Node | None, key: object) -> yaml.Node | None:
    return next((name for name, _ in reversed(_pairs(node)) if name.value == str(key)), node)


def _line(node: yaml.Node | None) -> int:
    return node.start_mark.line + 1 if node is not None else 0
