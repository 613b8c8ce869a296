"""YAML files that a model describes: all mistakes at once, each with its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import yaml
from pydantic import ValidationError

from testbed_domain.errors import UsageError
from testbed_domain.problems import Place, nearest, placed_problems
from testbed_domain.yamlfile import read_documents

if TYPE_CHECKING:
    from pathlib import Path

_Model = TypeVar("_Model")
_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


def read_model(
    path: Path,
    what: str,
    validate: Callable[[Any], _Model],
    schema: Callable[[], Mapping[str, Any]],
) -> _Model:
    """Read a file and check it.

    Args:
        path: the file.
        what: what kind of file it is, for the error.
        validate: makes the model of the document.
        schema: gives the model's JSON Schema, whose fields a misspelt one may be.

    Raises:
        UsageError: the file can't be read, or breaks the schema; a line for each mistake, with
            file and line.
    """
    documents = read_documents(path, what)
    if len(documents) > 1:
        raise UsageError(f"{path} holds {len(documents)} documents: give {what} a file of its own")
    value = documents[0].value if documents else None
    node = documents[0].node if documents else None
    try:
        return validate(value)
    except ValidationError as error:
        lines = _lines(error, node, schema)
        raise UsageError("\n".join(f"{path}:{line}: {text}" for line, text in lines)) from error


def _lines(
    error: ValidationError, node: yaml.Node | None, schema: Callable[[], Mapping[str, Any]]
) -> list[tuple[int, str]]:
    errors = error.errors()
    unknown = {tuple(each["loc"]) for each in errors if each["type"] in _UNKNOWN}
    # Making the schema takes longer than all else here, and only misspelt fields need it.
    made = schema() if unknown else {}
    found = []
    for place, sentence in placed_problems(errors):
        nodes = list(_walked(node, place))
        line = nodes[-1].start_mark.line + 1 if nodes else 1
        if place in unknown:
            holder = [each for each in nodes if isinstance(each, yaml.MappingNode)]
            hint = nearest(place[-1], _fields(made, _keys(holder[-1:])))
        else:
            hint = ""
        found.append((line, f"{sentence}{hint}"))
    return sorted(found, key=lambda each: each[0])


def _walked(node: yaml.Node | None, place: Place) -> Iterator[yaml.Node]:
    """The nodes on the way to a place; of a field the last one is its key.

    Tags of unions stand in a place, but not in the file: they are passed over.
    """
    if node is None:
        return
    yield node
    for step in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if step >= len(node.value):
                return
            node = node.value[step]
            yield node
        elif isinstance(node, yaml.MappingNode):
            pair = next((each for each in node.value if each[0].value == str(step)), None)
            if pair is not None:
                key, node = pair
                yield node if isinstance(node, yaml.CollectionNode) else key


def _keys(holders: Sequence[yaml.MappingNode]) -> set[str]:
    return {key.value for holder in holders for key, _ in holder.value}


def _fields(schema: Mapping[str, Any], keys: set[str]) -> list[str]:
    """Fields of those objects of a schema that have most of these keys."""
    objects = [schema, *schema.get("$defs", {}).values()]
    fields = [set(each.get("properties", {})) for each in objects]
    maximum = max(len(names & keys) for names in fields)
    return sorted(set().union(*(names for names in fields if len(names & keys) == maximum)))
