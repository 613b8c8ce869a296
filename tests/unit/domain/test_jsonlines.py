"""Lines of JSON: all that the standard library reads, and no more."""

from __future__ import annotations

import json

import pytest
from testbed_domain.jsonlines import parse_line


@pytest.mark.parametrize(
    "line",
    [
        '{"a": [1, 2.5, null, true, "ä"]}\n',
        b'{"a": 1}\r\n',
        '{"big": 123456789012345678901234567890}',
        '{"infinite": -Infinity}',
        "0.1",
    ],
)
def test_it_reads_what_the_standard_library_reads(line: str | bytes) -> None:
    """Whole numbers beyond 64 bits keep their digits, and infinities are numbers."""
    assert parse_line(line) == json.loads(line)
    assert type(parse_line(line)) is type(json.loads(line))


def test_it_reads_a_nan() -> None:
    """What a damaged column may hold."""
    assert parse_line("NaN") != parse_line("NaN")


@pytest.mark.parametrize("line", ['{"a": ', "", b'"\xff"', "{'a': 1}"])
def test_what_is_not_json(line: str | bytes) -> None:
    """It is refused as the standard library refuses it."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_line(line)
