"""Rows in files of JSON: an object per line, or one array of objects."""

from __future__ import annotations

import contextlib
import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pandas.io.common import get_handle

from testbed_domain.tables.csvtext import encoding_of
from testbed_domain.tables.reading import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_domain.tables.reading import ReadOptions

# Lines that are in memory with all their columns.
BLOCK: Final = 50_000


def json_rows(path: Path, options: ReadOptions) -> Iterator[list[dict[str, Any]]]:
    """Rows of JSON lines, or of one array of JSON, by block.

    Raises:
        SourceError: it holds something else than an object per row.
        ValueError: it is not JSON.
    """
    encoding, _ = encoding_of(path, options)
    with get_handle(path, "r", encoding=encoding, compression="infer") as opened:
        lines = ((place, line) for place, line in enumerate(opened.handle, 1) if line.strip())
        place, first = next(lines, (0, None))
        if first is None:
            return
        if first.lstrip().startswith("["):
            yield _rows(_whole_array(place, first, "".join(opened.handle)), path)
            return
        try:
            row = json.loads(first)
        except json.JSONDecodeError:
            with contextlib.suppress(json.JSONDecodeError):
                _refuse_object(json.loads(first + "".join(opened.handle)), path)
            row = _parsed((place, first))
        second = next(lines, None)
        if second is None:
            _refuse_object(row, path)
        yield _rows([row, *([] if second is None else [_parsed(second)])], path)
        while block := list(islice(lines, BLOCK)):
            yield _rows(list(map(_parsed, block)), path)


def _parsed(line: tuple[int, str]) -> Any:  # noqa: ANN401 - of JSON
    """The value of a line, which comes with its place."""
    try:
        return json.loads(line[1])
    except json.JSONDecodeError as error:
        raise ValueError(
            f"line {line[0]} is not an object of JSON ({error.msg}): write one object per line, or "
            "an array of objects"
        ) from None


def _whole_array(place: int, first: str, rest: str) -> Any:  # noqa: ANN401 - of JSON
    try:
        return json.loads(first + rest)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"it begins with an array of JSON and is none as a whole, by line "
            f"{place - 1 + error.lineno} ({error.msg}): write one array of objects, or an object "
            "per line"
        ) from None


def _refuse_object(found: Any, path: Path) -> None:  # noqa: ANN401 - of JSON
    """Refuse a whole file that is one object of columns, or of rows."""
    if (
        isinstance(found, dict)
        and found
        and all(isinstance(one, dict | list) for one in found.values())
    ):
        raise SourceError(
            f"{path} is one object of JSON: write an array of objects, one per row, or an object "
            "per line"
        )


def _rows(found: list[Any], path: Path) -> list[dict[str, Any]]:
    odd = next((one for one in found if not isinstance(one, dict)), None)
    if odd is not None:
        raise SourceError(f"{path} holds {str(odd)[:40]!r} where an object per row belongs")
    return found
