"""Rows from bodies: what is cut out of a large text is what parsing the whole would give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from testbed_api.errors import ApiError
from testbed_api.http import rowbodies
from testbed_api.http.rowbodies import WHOLE
from testbed_api.http.schemas import row_reader
from testbed_api.http.structure import exceeds
from testbed_api.serving.slices import at_once
from testbed_domain.features import Feature, FeatureSchema

if TYPE_CHECKING:
    from testbed_api.http.rowbodies import RowReader

SCHEMA = FeatureSchema(
    (
        Feature("a", "number", ""),
        Feature('b "quoted", [x]', "category", "", other=True),
        Feature("c", "integer", "", nullable=True),
    ),
    "y",
    (0, 1),
)
TEXTS = ["x", "", "a,b", "]}", '"', "\\", '\\"', "é\u2028\U0001f600", "{[", "\n", "true", " x "]
LIMIT = 1000


@pytest.fixture
def reader() -> RowReader[Any]:
    """Of rows with a text that is full of JSON."""
    return row_reader(SCHEMA, None, 1 << 17)


def _rows(count: int) -> list[dict[str, Any]]:
    names = SCHEMA.names
    return [
        {names[0]: n / 7, names[1]: TEXTS[n % len(TEXTS)] * 40, names[2]: n if n % 3 else None}
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [1, 20, 999, 1000])
@pytest.mark.parametrize("layout", [{"separators": (",", ":")}, {}, {"indent": 2}])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_records_and_columns_are_the_same_rows_at_any_size(
    reader: RowReader[Any], count: int, layout: dict[str, Any], ascii_only: object
) -> None:
    """Parsed in one go or cut into pieces, in any layout."""
    rows = _rows(count)
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    for body in ({"records": rows}, {"columns": columns}):
        text = json.dumps(body, ensure_ascii=bool(ascii_only), **layout).encode()
        assert (len(text) > WHOLE) == (count > 900)
        assert at_once(reader.batch(text, LIMIT)) == rows
        assert at_once(reader.batch(b" \n" + text + b"\r\n ", LIMIT)) == rows


def test_part_of_a_column_never_cuts_a_number(
    reader: RowReader[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the end of a part falls."""
    rows = [{"a": 123456.5 + n, SCHEMA.names[1]: "x,y", "c": 987654} for n in range(60)]
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    text = json.dumps({"columns": columns}).encode()
    for size in range(30, 120):
        monkeypatch.setattr(rowbodies, "WHOLE", size)
        assert at_once(reader.batch(text, LIMIT)) == rows


def _padded(text: bytes) -> bytes:
    return text + b" " * WHOLE


@pytest.mark.parametrize(
    ("body", "place", "kind"),
    [
        (b"[]", ["body"], None),
        (b'{"rows": []}', ["body"], None),
        (b'{"records": []}', ["body", "records"], None),
        (b'{"records": {}}', ["body"], None),
        (b'{"records": [[]]}', ["body", "records", 0], "dict_type"),
        (b'{"records": [{"a": {}}]}', ["body", "records", 0], "dict_type"),
        (b'{"records": [{"a": 1}], "x": 1}', ["body"], "json_invalid"),
        (b'{"records": [{"a": 1} {}]}', ["body"], "json_invalid"),
        (b'{"records": [{"a": 1}', ["body"], "json_invalid"),
        (b'{"columns": {}}', ["body"], "value_error"),
        (b'{"columns": {"a": 1}}', ["body"], "value_error"),
        (b'{"columns": {"a": [[1]]}}', ["body"], "value_error"),
        (b'{"columns": {"a": [1 2]}}', ["body"], "json_invalid"),
        (b'{"columns": {"a": [1], "c": [1, 2]}}', ["body"], "value_error"),
        (b'{"columns": {"a": [1]}', ["body"], "json_invalid"),
        (b'{"columns": {"a": [%s1]}}' % (b"1," * 1000), ["body", "records"], "too_long"),
        (b'{"records": [%s{}]}' % (b"{}," * 1000), None, "missing"),
    ],
)
def test_large_body_that_is_no_batch_is_refused_naming_the_place(
    reader: RowReader[Any], body: bytes, place: list[Any] | None, kind: str | None
) -> None:
    """422 with one entry, or as many as an answer shows."""
    with pytest.raises(ApiError) as caught:
        at_once(reader.batch(_padded(body), LIMIT))
    assert caught.value.status == 422
    found = caught.value.detail
    assert isinstance(found, list)
    assert len(found) <= 50
    if place is not None:
        assert (len(found), found[0]["loc"]) == (1, place)
    if kind is not None:
        assert found[0]["type"] == kind


def test_row_beyond_the_limit_ends_the_reading(reader: RowReader[Any]) -> None:
    """What is behind it is never looked at."""
    rows = json.dumps(_rows(20)).encode()[1:-1]
    body = b'{"records": [%s, %s this is not JSON' % (rows, b"{}" * WHOLE)
    with pytest.raises(ApiError) as caught:
        at_once(reader.batch(body, 20))
    assert caught.value.detail[0]["type"] == "too_long"  # type: ignore[index]


@pytest.mark.parametrize("value", [[], {}, 0, "x", None, True])
def test_size_of_a_text_is_never_underestimated(value: object) -> None:
    """Commas and brackets count where they are JSON's own."""
    for body in (value, [value] * 9, {"a,[{": [value] * 9, "b": {"c": value}}, [[[value]]] * 9):
        text = json.dumps(body).encode()
        count = _count(body)
        assert exceeds(text, count - 1)
        assert not exceeds(text, 2 * count)  # empty containers count twice


def _count(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_count, value.values()))
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1


def test_commas_in_texts_count_for_nothing() -> None:
    """However many, and behind escaped quotes."""
    assert not exceeds(json.dumps({"a": ',[{"\\' * 1000}).encode(), 2)
