"""Which use case a command means: one by name, or the one in the user's own table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.errors import UsageError
from testbed.preparation import choose_use_case

if TYPE_CHECKING:
    from pathlib import Path


def _silent(text: str) -> None:
    raise AssertionError(f"nothing is left out, but: {text}")


def test_a_table_and_its_target(tmp_path: Path) -> None:
    """What is left out is said, the rest becomes the schema."""
    path = tmp_path / "mine.csv"
    path.write_text("key,a,t\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(30)))
    said: list[str] = []
    use_case = choose_use_case("any", path, "t", said.append)
    assert use_case.schema.names == ("a",)
    assert said == [
        "data: column key is left out: it is an id: whole numbers that differ in every row"
    ]


def test_file_and_target_must_fit_the_use_case(tmp_path: Path) -> None:
    """`any` needs both, and a use case with a name knows its target."""
    for data, target in ((None, "t"), (tmp_path, None), (None, None)):
        with pytest.raises(UsageError, match="needs a table, --data FILE, and --target COLUMN"):
            choose_use_case("any", data, target, _silent)
    with pytest.raises(UsageError, match="iris knows its own target"):
        choose_use_case("iris", None, "species", _silent)
    assert choose_use_case("iris", None, None, _silent).name == "iris"
