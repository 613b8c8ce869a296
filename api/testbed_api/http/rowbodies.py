"""Rows from the bodies of requests, none of which costs more than its limits allow.

A row costs what its schema has: what is larger is cut before it is validated. The rows of a large
batch are cut out of its text one by one, so no step takes long, and the first that the limit
doesn't allow ends it. Problems are collected up to the number that an answer shows.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, NoReturn, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError, conlist
from pydantic_core import from_json
from typing_extensions import TypedDict

from testbed_api.errors import ApiError
from testbed_api.http.bodies import PROBLEM_LIMIT, problems
from testbed_api.http.structure import STRING, exceeds

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

T = TypeVar("T")

# Bytes of a text that is parsed in one go, whatever it holds: some milliseconds at most.
WHOLE: Final = 64 * 1024
# Elements that are cut out of a list at a time.
CHUNK: Final = 256
_SPACE: Final = rb"[ \t\r\n]*+"
_OPEN: Final = re.compile(rb'%s\{%s"(records|columns)"%s:%s([\[{])%s' % ((_SPACE,) * 5), re.DOTALL)
_CLOSE: Final = re.compile(rb"%s\}%s\Z" % (_SPACE, _SPACE))
_TEXT: Final = STRING.pattern.removesuffix(b"?")
# No object of a row is another object's.
_ROW: Final = re.compile(rb'\{(?:[^{}"]++|%s)*+\}' % _TEXT, re.DOTALL)
_NAME: Final = re.compile(rb"(%s)%s:%s\[" % (_TEXT, _SPACE, _SPACE), re.DOTALL)
_VALUE: Final = rb'(?:[^"\[\]{},]++|%s)++' % _TEXT
# What follows the last one must be seen, or it may have been cut in two.
_VALUES: Final = re.compile(rb"%s(?:,%s){0,%d}(?=[,\]])" % (_VALUE, _VALUE, CHUNK - 1), re.DOTALL)
_NEXT: Final = re.compile(rb"%s([,\]}])%s" % (_SPACE, _SPACE))
# Among rows: there is none yet, but work was done.
_PAUSE: Final = object()


class RowReader(Generic[T]):
    """Reads rows of one kind.

    Args:
        adapter: validates one row.
        names: fields that it may have.
        limit: bytes of one row.
    """

    def __init__(self, adapter: TypeAdapter[T], names: Iterable[str], limit: int) -> None:
        self.adapter = adapter
        self._names = frozenset(names)
        self._limit = limit
        # With the row itself, and all unknown fields that an answer names.
        self._values = 1 + len(self._names) + PROBLEM_LIMIT

    def read(self, text: bytes) -> T:
        """One row.

        Raises:
            ApiError: 422 naming the fields that are wrong.
        """
        try:
            return self._parsed(text)
        except ValidationError as error:
            raise ApiError(422, "validation", problems(error)) from None

    def batch(self, text: bytes, limit: int) -> Generator[None, None, list[T]]:
        """The rows of ``{"records": [...]}`` or ``{"columns": {...}}``, in small steps.

        Raises:
            ApiError: 422 naming what is wrong, with the number of its row.
        """
        if len(text) > WHOLE:
            return (yield from self._collect(self._cut(text, limit)))
        try:
            rows: list[object] = _shape(limit).validate_json(text)["records"]
        except ValidationError as error:
            raise ApiError(422, "validation", problems(error)) from None
        return (yield from self._collect(rows))

    def items(
        self, text: bytes, whole: TypeAdapter[Any], field: str, limit: int
    ) -> Generator[None, None, list[T]]:
        """The rows of ``{FIELD: [...]}``, in small steps.

        Args:
            text: the body.
            whole: what a body is, whatever its rows are.
            field: that has the rows.
            limit: most rows.

        Raises:
            ApiError: 422 naming what is wrong, with the number of its row.
        """
        if exceeds(text, limit * (1 + len(self._names)) + self._values):
            _refuse(f"the body has more values than {limit} {field} have", "too_long")
        try:
            rows: list[object] = whole.validate_json(text)[field]
        except ValidationError as error:
            raise ApiError(422, "validation", problems(error)) from None
        return (yield from self._collect(rows, field))

    def _parsed(self, text: bytes) -> T:
        if not exceeds(text, self._values):
            return self.adapter.validate_json(text)
        if len(text) > WHOLE:
            _refuse("a row has more values than the model has features", "too_long")
        try:
            return self._valid(from_json(text))
        except ValueError as error:
            if isinstance(error, ValidationError):
                raise
            _refuse(f"Invalid JSON: {error}", "json_invalid")

    def _valid(self, row: object) -> T:
        if isinstance(row, dict) and len(row) > self._values:
            unknown = [name for name in row if name not in self._names][:PROBLEM_LIMIT]
            row = {name: row[name] for name in (*self._names & row.keys(), *unknown)}
        return self.adapter.validate_python(row)

    def _collect(
        self, rows: Iterable[object], field: str = "records"
    ) -> Generator[None, None, list[T]]:
        """Validate rows, each parsed or as its text."""
        found: list[T] = []
        wrong: list[dict[str, Any]] = []
        number = -1
        for row in rows:
            yield
            if row is _PAUSE:
                continue
            number += 1
            try:
                found.append(self._parsed(row) if type(row) is bytes else self._valid(row))
            except ValidationError as error:
                wrong += _placed(problems(error), field, number)
            except ApiError as error:
                if not isinstance(error.detail, list):
                    raise  # an id that is unknown
                wrong += _placed(error.detail, field, number)
            if len(wrong) >= PROBLEM_LIMIT:
                break
        if wrong:
            raise ApiError(422, "validation", wrong[:PROBLEM_LIMIT])
        return found

    def _cut(self, text: bytes, limit: int) -> Iterator[object]:
        start = _OPEN.match(text)
        if start is None or (start[1] == b"records") != (start[2] == b"["):
            _refuse("a batch is an object with a list of records, or with columns", "value_error")
        if start[1] == b"records":
            yield from self._cut_records(text, start.end(), limit)
        else:
            columns = _Columns(text, start.end(), limit, len(self._names) + PROBLEM_LIMIT)
            yield from columns.rows()

    def _cut_records(self, text: bytes, place: int, limit: int) -> Iterator[bytes]:
        if text.startswith(b"]", place):
            _refuse("List should have at least 1 item", "too_short", "records")
        for number in range(limit):
            row = _ROW.match(text, place, place + self._limit)
            if row is None:
                _refuse(
                    "the row is not a flat object, or it is too long",
                    "dict_type",
                    "records",
                    number,
                )
            yield row[0]
            place, mark = _after(text, row.end())
            if mark == b"]":
                _end(text, place)
                return
            if mark != b",":
                _refuse("Invalid JSON: expected `,` or `]`", "json_invalid")
        raise _too_long(limit)


@cache
def _shape(limit: int) -> TypeAdapter[Any]:
    """A batch whose rows may be anything."""

    def as_records(body: object) -> object:
        """Columns of equal length as records; anything else as it is."""
        if not isinstance(body, dict) or set(body) != {"columns"}:
            return body
        columns = body["columns"]
        if not isinstance(columns, dict) or not columns:
            raise ValueError("columns is an object of lists")
        if not all(isinstance(values, list) for values in columns.values()):
            raise ValueError("columns is an object of lists")
        return {"records": list(_transposed(columns, limit))}

    make: Any = TypedDict  # its field's type is known at run time only
    batch = make("Records", {"records": conlist(Any, min_length=1, max_length=limit)})
    batch.__pydantic_config__ = {"extra": "forbid"}
    whole: Any = Annotated[batch, BeforeValidator(as_records)]
    return TypeAdapter(whole)


class _Columns:
    """The columns of a batch, cut out of its text.

    Args:
        text: of the whole batch.
        place: where the first column's name begins.
        limit: most values in a column.
        columns: most columns.
    """

    def __init__(self, text: bytes, place: int, limit: int, columns: int) -> None:
        self._text = text
        self._place = place
        self._limit = limit
        self._columns = columns

    def rows(self) -> Iterator[object]:
        """The rows, after a pause for each part of a column."""
        found: dict[str, list[Any]] = {}
        mark = b","
        while mark == b",":
            if len(found) >= self._columns:
                _refuse("the batch has more columns than the model has features", "too_long")
            name = _NAME.match(self._text, self._place, self._place + WHOLE)
            if name is None:
                _refuse("columns is an object of lists", "value_error")
            self._place = name.end()
            values = found[_json(name[1])] = []
            yield from self._fill(values)
            self._place, mark = _after(self._text, self._place)
        if mark != b"}":
            _refuse("Invalid JSON: expected `,` or `}`", "json_invalid")
        _end(self._text, self._place)
        yield from _transposed(found, self._limit)

    def _fill(self, values: list[Any]) -> Iterator[object]:
        while True:
            yield _PAUSE
            part = _VALUES.match(self._text, self._place, self._place + WHOLE)
            if part is None:
                _refuse("a column is a list of numbers, texts, booleans and nulls", "value_error")
            values += _json(b"[%s]" % part[0])
            if len(values) > self._limit:
                raise _too_long(self._limit)
            self._place, mark = _after(self._text, part.end())
            if mark == b"]":
                return
            if mark != b",":
                _refuse("Invalid JSON: expected `,` or `]`", "json_invalid")


def _after(text: bytes, place: int) -> tuple[int, bytes]:
    found = _NEXT.match(text, place)
    return (place, b"") if found is None else (found.end(), found[1])


def _end(text: bytes, place: int) -> None:
    if _CLOSE.match(text, place) is None:
        _refuse("Invalid JSON: expected `}` and the end", "json_invalid")


def _json(text: bytes) -> Any:  # noqa: ANN401 - whatever it holds
    try:
        return from_json(text)
    except ValueError as error:
        _refuse(f"Invalid JSON: {error}", "json_invalid")


def _refuse(message: str, kind: str, *inside: str | int) -> NoReturn:
    place = ["body", *inside]
    raise ApiError(422, "validation", [{"loc": place, "msg": message, "type": kind}])


def _too_long(limit: int) -> ApiError:
    message = f"List should have at most {limit} items"
    problem = {"loc": ["body", "records"], "msg": message, "type": "too_long"}
    return ApiError(422, "validation", [problem])


def _placed(found: list[dict[str, Any]], field: str, number: int) -> list[dict[str, Any]]:
    return [item | {"loc": ["body", field, number, *item["loc"][1:]]} for item in found]


def _transposed(columns: Mapping[str, list[Any]], limit: int) -> Iterator[dict[str, Any]]:
    """Columns as rows, made one by one.

    Raises:
        ApiError: 422, they are too long, or not of one length.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        _refuse("the columns have different lengths", "value_error")
    if lengths.pop() > limit:
        raise _too_long(limit)
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))
