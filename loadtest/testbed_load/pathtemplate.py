"""The path of a request with an id and values of a row in it; pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Collection

    from testbed_domain.features import Row, Value

_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_ID: Final = "id"


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
            return quote(request_id if name == _ID else _text(row.get(name)), safe="")

        return _PLACEHOLDER.sub(value, self._text)


def _text(value: Value | None) -> str:
    """As JSON writes it, but for text and what is missing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
