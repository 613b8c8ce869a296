"""Headers in the file of a service; pure.

``${NAME}`` stands for an environment variable of the process that sends, so that no secret has to
stand in a file, and ``{id}`` for the request's id or the prediction's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator

from testbed_load.errors import LoadError

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PLACEHOLDER: Final = re.compile(rf"{_VARIABLE.pattern}|\{{id\}}")
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token of RFC 9110, section 5.6.2."""
_VALUE: Final = re.compile(r"[\t -~]*")
_ID: Final = "{id}"
SHORTEST_KEY: Final = 4
"""Letters; a shorter value is no secret, and would be found in any text."""
_BLANK: Final = " \t"
_OWN: Final = {
    "x-request-id": "is set by the load, to the request's id",
    "traceparent": "is set by the load, to its trace",
    "content-length": "is set by the load's client, to the length of the body",
    "transfer-encoding": "is set by the load's client, to how it sends the body",
    "connection": "is set by the load's client, which keeps connections itself",
    "expect": "can't be given: the load's client sends a body without asking for it first",
}
"""Headers by which the load finds its requests again, and those of the connection."""
_CONTENT_TYPE: Final = "Content-Type"


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    seen: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not the name of a header")
        if key in _OWN:
            raise ValueError(f"{name} {_OWN[key]}")
        if key in seen:
            raise ValueError(f"{seen[key]} and {name} are the same header")
        if (reason := _unsendable(value) or _unmeant(value)) is not None:
            raise ValueError(f"{name}: its value {reason}")
        seen[key] = name
    return headers


def _unsendable(value: str) -> str | None:
    if value != value.strip(_BLANK):
        return "begins or ends with white space"
    if _VALUE.fullmatch(value) is not None:
        return None
    if all(letter.isprintable() or letter == "\t" for letter in value):
        return "holds letters beyond ASCII"
    return "holds a control character, as the end of a line"


def _unmeant(value: str) -> str | None:
    if "${" not in _VARIABLE.sub("", value):
        return None
    return (
        "holds a ${ that begins no variable: one is written as ${NAME}, of letters, digits and _, "
        "the first of which is no digit"
    )


HeaderTemplates: TypeAlias = Annotated[Mapping[str, str], AfterValidator(_checked)]
"""Name to value, which can be sent and of which none is there twice."""


def variables_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Environment variables that the headers hold."""
    return tuple(name for value in headers.values() for name in _VARIABLE.findall(value))


def _missing(headers: Mapping[str, str], variables: Mapping[str, str]) -> str | None:
    """Why the headers can't be filled in; None where they can."""
    for name, value in headers.items():
        for variable in _VARIABLE.findall(value):
            if variable not in variables:
                return f"the header {name} needs the environment variable {variable}: it is not set"
    return None


class FilledHeaders:
    """Headers with the variables in them, for requests that each have an id.

    What a variable holds is sent as it stands: no placeholder is looked for in it.

    Args:
        headers: templates.
        variables: what they may ask for.

    Raises:
        LoadError: a variable is not set, or holds what no header can; never shows its value.
    """

    def __init__(self, headers: Mapping[str, str], variables: Mapping[str, str]) -> None:
        if (reason := _missing(headers, variables)) is not None:
            raise LoadError(reason)
        self._around = {
            _CONTENT_TYPE if name.lower() == _CONTENT_TYPE.lower() else name: _around_ids(
                value, variables
            )
            for name, value in headers.items()
        }
        self._keys = {name: variables[name] for name in variables_in(headers)}
        self._of_all: Mapping[str, str] | None = None
        for (name, parts), value in zip(self._around.items(), headers.values(), strict=True):
            if (reason := _unsendable(_ID.join(parts))) is not None:
                asked = ", ".join(_VARIABLE.findall(value))
                raise LoadError(f"the header {name}: its value, with {asked}, {reason}")
        if all(len(parts) == 1 for parts in self._around.values()):
            self._of_all = self.of("")

    def hidden(self, text: str) -> str:
        """A text of the service, which may repeat what it was sent, with variables by name."""
        for name, value in self._keys.items():
            if len(value) >= SHORTEST_KEY:
                text = text.replace(value, f"${{{name}}}")
        return text

    def of(self, identifier: str) -> Mapping[str, str]:
        """Headers of one request.

        Raises:
            LoadError: its id can't be sent in a header.
        """
        if self._of_all is not None:
            return self._of_all
        made = {name: identifier.join(parts) for name, parts in self._around.items()}
        for name, value in made.items():
            if len(self._around[name]) > 1 and (reason := _unsendable(value)) is not None:
                raise LoadError(f"the header {name}: its value, with the id, {reason}")
        return made


def _around_ids(value: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """The text before, between and after the ids, in one look at the template."""
    parts, begin = [""], 0
    for found in _PLACEHOLDER.finditer(value):
        parts[-1] += value[begin : found.start()]
        begin = found.end()
        if found[1] is None:
            parts.append("")
        else:
            parts[-1] += variables[found[1]]
    parts[-1] += value[begin:]
    return tuple(parts)
