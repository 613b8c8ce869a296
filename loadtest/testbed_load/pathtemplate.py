"""Paths in the file of a service, of requests with an id and values of a row in it; pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias
from urllib.parse import quote

from pydantic import AfterValidator, StringConstraints

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Collection

    from testbed_domain.features import Row, Value

_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_ID: Final = "id"


def unusable(path: str) -> str | None:
    """Why a text is no path that every client sends alike; None where it is one.

    Letters beyond ASCII are percent-encoded by all of them.
    """
    if not path.isprintable() or " " in path:
        return "holds a space or a control character: write it percent-encoded, a space as %20"
    if "#" in path:
        return "holds a #, and neither it nor what follows is ever sent: write it as %23"
    if path.startswith("//"):
        return "begins with two slashes, behind which an URL has a host"
    return None


def _plain(path: str) -> str:
    if (reason := unusable(path)) is not None:
        raise ValueError(f"it {reason}")
    return path


def _template(path: str) -> str:
    # A column's name may hold what no path does: it is never sent.
    rest = _PLACEHOLDER.sub("x", path)
    if "{" in rest or "}" in rest:
        raise ValueError(
            "it holds a brace that belongs to no placeholder: one is a name in a pair of braces, "
            "and a brace that is sent is written as %7B or %7D"
        )
    _plain(rest)
    return path


_ABSOLUTE: Final = StringConstraints(pattern="^/")
UrlPath: TypeAlias = Annotated[str, _ABSOLUTE, AfterValidator(_plain)]
"""A path, perhaps with a query, which is sent as it stands."""
PathText: TypeAlias = Annotated[str, _ABSOLUTE, AfterValidator(_template)]
"""The same with placeholders."""


class PathTemplate:
    """A path, perhaps with a query, in which ``{id}`` and ``{column}`` are replaced.

    Args:
        text: the path.
        columns: of the rows; empty where no rows are sent.

    Raises:
        LoadError: it asks for a column that there isn't.
    """

    def __init__(self, text: str, columns: Collection[str]) -> None:
        self._text = text
        self._asks = _PLACEHOLDER.search(text) is not None
        known = (_ID, *columns)
        for name in _PLACEHOLDER.findall(text):
            if name not in known:
                raise LoadError(
                    f"the request's path asks for {{{name}}}, which there isn't: there are "
                    f"{', '.join(f'{{{each}}}' for each in known)}"
                )

    def filled(self, row: Row, request_id: str) -> str:
        """The path of one request; a value that is missing is empty."""
        if not self._asks:
            return self._text

        def value(found: re.Match[str]) -> str:
            name = found[1]
            return quoted(request_id if name == _ID else row.get(name))

        return _PLACEHOLDER.sub(value, self._text)


def quoted(value: Value | None) -> str:
    """A value within a path."""
    return quote(text_of(value), safe="")


def text_of(value: Value | None) -> str:
    """A value within a longer text: as JSON writes it, but for text and what is missing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
