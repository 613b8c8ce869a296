"""A log whose files are taken away while it is open: noticed, and never taken for written."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from testbed_domain.logstore import LogReplacedError, PredictionRow, open_log

from tests.support.predictionlog import logged_ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROW = PredictionRow("1", 0.0, None, "one", "model", "v1", {"a": 1}, "1", 0.5, {"0": 0.5, "1": 0.5})


def _unlink(database: Path) -> None:
    database.unlink()


def _unlink_write_ahead(database: Path) -> None:
    database.with_name(f"{database.name}-wal").unlink()


def _rename_folder(database: Path) -> None:
    database.parent.rename(database.parent.with_name("away"))


def _copy_over(database: Path) -> None:
    copy = database.with_name("copy.db")
    shutil.copy(database, copy)
    copy.replace(database)


def _truncate(database: Path) -> None:
    os.truncate(database, 0)


def _lead_link_elsewhere(database: Path) -> None:
    link = database.with_name("link.new")
    link.symlink_to(database.with_name("elsewhere.db"))
    with open_log(f"sqlite:///{database.with_name('elsewhere.db')}"):
        pass
    link.replace(database)


FAULTS = [
    _unlink,
    _unlink_write_ahead,
    _rename_folder,
    _copy_over,
    _truncate,
    _lead_link_elsewhere,
]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_are_taken_away(
    tmp_path: Path, fault: Callable[[Path], None], *, linked: bool
) -> None:
    """Neither a write nor a look passes, and a log opened anew takes rows."""
    folder = tmp_path / "place"
    folder.mkdir()
    database = folder / "log.db"
    if linked:
        database.symlink_to(folder / "target.db")
    with open_log(f"sqlite:///{database}") as log:
        log.append([ROW])
        log.check()
        fault(folder / "target.db" if linked and fault is _unlink_write_ahead else database)
        with pytest.raises(LogReplacedError, match="while the prediction log was open"):
            log.check()
        with pytest.raises(LogReplacedError):
            log.append([ROW._replace(id="2")])
        with pytest.raises(LogReplacedError):
            log.append_labels([("1", "1", 0.0)])
    folder.mkdir(exist_ok=True)
    with open_log(f"sqlite:///{database}") as log:
        log.append([ROW._replace(id="3")])
        log.check()
        assert "3" in set(logged_ids(log))


def test_row_of_a_file_that_goes_while_it_is_written_is_not_written(tmp_path: Path) -> None:
    """A commit into a file that nobody finds is an error, though SQLite calls it done."""
    database = tmp_path / "log.db"
    with open_log(f"sqlite:///{database}") as log:
        log.append([ROW])
        rows = _Removing(database)
        with pytest.raises(LogReplacedError, match="was removed"):
            log.append(rows, missing=True)


class _Removing(list[PredictionRow]):
    """Rows that take the database away when they are read, within the transaction or before."""

    def __init__(self, database: Path) -> None:
        super().__init__([ROW._replace(id="2")])
        self._database = database

    def __iter__(self) -> object:  # type: ignore[override]
        self._database.unlink(missing_ok=True)
        return super().__iter__()


def test_renamed_log_has_all_its_rows(tmp_path: Path) -> None:
    """What was written ahead goes where the file went, not into the one that takes its place."""
    database, away = tmp_path / "log.db", tmp_path / "away.db"
    with open_log(f"sqlite:///{database}") as log:
        log.append([ROW])
        database.rename(away)
        with pytest.raises(LogReplacedError):
            log.check()
    with open_log(f"sqlite:///{away}") as log:
        assert list(logged_ids(log)) == ["1"]
    with open_log(f"sqlite:///{database}") as log:
        assert list(logged_ids(log)) == []


def test_what_others_do_with_a_log_is_allowed(tmp_path: Path) -> None:
    """Checkpoints, a vacuum, other connections that come and go."""
    database = tmp_path / "log.db"
    with open_log(f"sqlite:///{database}") as log:
        log.append([ROW._replace(id=str(number)) for number in range(500)])
        for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "DELETE FROM predictions", "VACUUM"):
            with contextlib.closing(sqlite3.connect(database)) as other:
                other.execute(statement)
                other.commit()
            log.check()
            log.append([ROW], missing=True)
        with open_log(f"sqlite:///{database}") as second:
            second.append([ROW._replace(id="x")])
        log.append([ROW._replace(id="y")])
        log.check()
