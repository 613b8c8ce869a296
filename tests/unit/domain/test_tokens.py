"""Tokens in files."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from testbed_domain.tokens import TokenError, ensure_token, read_token

if TYPE_CHECKING:
    from pathlib import Path


def test_a_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """Whoever else may enter the folder can't read it; the next start finds the same."""
    path = tmp_path / "new" / "token"
    token = ensure_token(path)
    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_token(path) == read_token(path) == token
    assert [found.name for found in path.parent.iterdir()] == ["token"]


def test_processes_that_start_at_once_get_the_same(tmp_path: Path) -> None:
    """Replicas share the file."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: ensure_token(tmp_path / "token"), range(32)))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"x" * 32, 0o644, "chmod 600"),
        (b"x" * 32, 0o620, "chmod 600"),
        (b"short", 0o600, "one token"),
        (b"", 0o600, "one token"),
        (b"x" * 2000, 0o600, "one token"),
        (b"two words of some length", 0o600, "one token"),
        (b"first line of two\nsecond line of two", 0o600, "one token"),
        ("ö".encode() * 32, 0o600, "not ASCII"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(
    tmp_path: Path, content: bytes, mode: int, reason: str
) -> None:
    """The message says what to do and never shows what is in the file."""
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(TokenError, match=reason) as caught:
        ensure_token(path)
    assert content == b"" or content.decode() not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_or_nothing_is_no_token(tmp_path: Path) -> None:
    """One line each."""
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(TokenError, match="can't be read"):
            read_token(path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(TokenError, match="can't be made"):
        ensure_token(blocked / "token")
