"""Keys of pages of metrics: in files of their owner, for as long as the stack runs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from testbed.errors import UsageError
from testbed.stack.scrapekeys import ScrapeKeys, scrapable

if TYPE_CHECKING:
    from pathlib import Path

JOBS = ({"job_name": "shop", "metrics_path": "/m"}, {"job_name": "other"})
VARIABLES = {"KEY": "s3cret", "WORDS": "s3cret words"}
USER = base64.b64encode(b"me:pass:word").decode()

VARIABLES["USER"] = f"Basic {USER}"


def keys(folder: Path, **headers: str) -> ScrapeKeys:
    """Of the job shop, and one variable."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return ScrapeKeys({"shop": given}, VARIABLES, folder)


def test_what_prometheus_reads_its_headers_from(tmp_path: Path) -> None:
    """Files, each with one value, and none of the jobs that have no headers."""
    folder = tmp_path / "keys"
    made = keys(folder, X_Key="${KEY}", X_Other="a", Authorization="Bearer ${KEY}")
    shop, other = made.in_jobs(JOBS)
    assert other == JOBS[1]
    assert shop == JOBS[0] | {
        "http_headers": {
            "X-Key": {"files": [f"{folder}/0"]},
            "X-Other": {"files": [f"{folder}/1"]},
        },
        "authorization": {"type": "Bearer", "credentials_file": f"{folder}/2"},
        "follow_redirects": False,  # nobody else is to have the key
    }
    assert not folder.exists()
    with made.written():
        assert [(folder / str(n)).read_text() for n in range(3)] == ["s3cret", "a", "s3cret"]
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(each.stat().st_mode & 0o777 == 0o600 for each in folder.iterdir())
    assert not folder.exists()


def test_user_and_password(tmp_path: Path) -> None:
    """Prometheus has settings of its own for them."""
    made = keys(tmp_path / "keys", authorization="${USER}")
    (shop, _) = made.in_jobs(JOBS)
    with made.written():
        files = [tmp_path / "keys" / name for name in ("0", "1")]
        assert [file.read_text() for file in files] == ["me", "pass:word"]
    assert shop["basic_auth"] == {"username_file": str(files[0]), "password_file": str(files[1])}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("${KEY}", "with a scheme only: write it as 'Bearer"),
        ("${WORDS}", "with a scheme only: write it as 'Bearer"),
        ("Basic ${KEY}", "Basic wants the base64 of user:password"),
        ("Basic YWI=", "Basic wants the base64 of user:password"),
        ("Bearer ${NONE}", "needs the environment variable NONE"),
    ],
)
def test_what_prometheus_can_not_send(tmp_path: Path, value: str, complaint: str) -> None:
    """Is refused by the name of its job, and never shown."""
    with pytest.raises(UsageError, match=f"of the job shop: .*{complaint}") as caught:
        keys(tmp_path, Authorization=value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "found", "why"),
    [
        ({"X": "${KEY}", "Host": "a", "Y": "{id}"}, {"X": "${KEY}"}, ""),
        ({"Host": "a"}, {}, "Prometheus can send none of the headers that were given"),
        ({"Authorization": "${KEY}"}, {}, "Prometheus sends the header Authorization with a"),
        ({}, {}, ""),
    ],
)
def test_what_of_some_headers_prometheus_can_send(
    headers: dict[str, str], found: dict[str, str], why: str
) -> None:
    """For who does not know yet which of them its page wants."""
    given, said = scrapable(headers, VARIABLES)
    assert given == found
    assert said.startswith(why)
    assert bool(said) == bool(why)


def test_without_headers_there_is_no_folder(tmp_path: Path) -> None:
    """Nor after an error is one left."""
    with ScrapeKeys({}, {}, tmp_path / "none").written():
        assert not (tmp_path / "none").exists()
    with pytest.raises(RuntimeError), keys(tmp_path / "keys", X="a").written():
        raise RuntimeError
    assert not (tmp_path / "keys").exists()
