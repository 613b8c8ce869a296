"""Headers in the file of a service; pure.

``${NAME}`` stands for an environment variable of the process that sends, so that no secret has to
stand in a file, and ``{id}`` for the request's id or the prediction's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator

from testbed_load.errors import LoadError

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token of RFC 9110, section 5.6.2."""
_ID: Final = "{id}"
_OWN: Final = {"x-request-id": "the request's id", "traceparent": "its trace"}
"""Headers by which the load finds its requests again."""
_CONTENT_TYPE: Final = "Content-Type"


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    seen: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not the name of a header")
        if key in _OWN:
            raise ValueError(f"{name} is set by the load, to {_OWN[key]}")
        if key in seen:
            raise ValueError(f"{seen[key]} and {name} are the same header")
        if (reason := _unsendable(value)) is not None:
            raise ValueError(f"{name}: its value {reason}")
        seen[key] = name
    return headers


def _unsendable(value: str) -> str | None:
    if not all(letter.isprintable() or letter == "\t" for letter in value):
        return "holds a control character, as the end of a line"
    return None if value.isascii() else "holds letters beyond ASCII"


HeaderTemplates: TypeAlias = Annotated[Mapping[str, str], AfterValidator(_checked)]
"""Name to value, which can be sent and of which none is there twice."""


def asked_for(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Environment variables that the headers hold."""
    return tuple(name for value in headers.values() for name in _VARIABLE.findall(value))


def missing(headers: Mapping[str, str], variables: Mapping[str, str]) -> str | None:
    """Why the headers can't be filled in; None where they can."""
    for name, value in headers.items():
        for variable in _VARIABLE.findall(value):
            if variable not in variables:
                return f"the header {name} needs the environment variable {variable}: it is not set"
    return None


def filled(headers: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Headers with the variables in them.

    Raises:
        LoadError: a variable is not set, or holds what no header can; never shows its value.
    """
    if (reason := missing(headers, variables)) is not None:
        raise LoadError(reason)
    return dict(_filled(headers, variables))


def _filled(headers: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        text = _VARIABLE.sub(lambda found: variables[found[1]], value)
        if (reason := _unsendable(text)) is not None:
            asked = ", ".join(_VARIABLE.findall(value))
            raise LoadError(f"the header {name}: its value, with {asked}, {reason}")
        yield (_CONTENT_TYPE if name.lower() == _CONTENT_TYPE.lower() else name), text


def identified(headers: Mapping[str, str], identifier: str) -> Mapping[str, str]:
    """Headers of one request."""
    if not any(_ID in value for value in headers.values()):
        return headers
    return {name: value.replace(_ID, identifier) for name, value in headers.items()}
