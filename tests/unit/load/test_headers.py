"""Headers of the load: the API key that a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed_load.errors import LoadError
from testbed_load.headers import read_headers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("named", [None, ""])
def test_without_a_file_there_is_no_key(named: str | None) -> None:
    """As with Compose, whose variables are empty where nobody sets them."""
    assert read_headers(named) == {"Content-Type": "application/json"}


def test_a_file_holds_the_key_alone(tmp_path: Path) -> None:
    """Its line may end."""
    (tmp_path / "key").write_text("tbk_abc\n")
    assert read_headers(str(tmp_path / "key"))["X-API-Key"] == "tbk_abc"


@pytest.mark.parametrize("text", ["", "\n", "a b", "a\nb", "schlüssel", "a\x00b"])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    """A whole keys file, for example."""
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(LoadError, match="must hold one API key") as caught:
        read_headers(str(file))
    assert "schlüssel" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With why: missing, or binary."""
    with pytest.raises(LoadError, match="No such file"):
        read_headers(str(tmp_path / "key"))
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(LoadError, match="not UTF-8"):
        read_headers(str(tmp_path / "key"))
