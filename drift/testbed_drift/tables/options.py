"""Options of the commands that work on tables."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_drift.settings import DriftSettingsError

if TYPE_CHECKING:
    from testbed_domain.tables.reading import ReadOptions

    from testbed_drift.rows.cutting import Cutting
    from testbed_drift.tables.reference import Reference, Wanted
    from testbed_drift.tables.sources import TableSource

STORE: Final = "TESTBED_DRIFT_REFERENCES"
# Options of a table to compare with, and of its columns.
REFERENCE: Final = (
    ("reference", "File, or name of a kept reference, to compare with."),
    ("reference-url", "SQLAlchemy URL of the database that holds the reference."),
    ("reference-query", "SELECT, or the name of a table, that gives the reference."),
)
CURRENT: Final = (
    ("current", "File to evaluate."),
    ("current-url", "SQLAlchemy URL of the database that holds what to evaluate."),
    ("current-query", "SELECT, or the name of a table, that gives what to evaluate."),
)
ROLES: Final = (
    ("target", "Column of the labels."),
    ("prediction", "Column of the predicted classes or numbers."),
    (
        "task",
        "What the target holds: classification, or regression (default of more than 20 numbers).",
    ),
    ("positive", "The positive class of two (default: the last)."),
    ("columns", "Columns to compare, by commas (default: all)."),
)
READING: Final = (
    ("sep", "Character between the columns of a CSV file, or 'tab' (default: found out)."),
    ("decimal", "Decimal mark of numbers in text, . or , (default: found out)."),
    ("encoding", "Encoding of CSV and JSON files (default: found out)."),
)
WINDOWS: Final = (
    ("window-rows", "Rows of a window."),
    ("every", "Rows, or time, from one window to the next (default: they touch)."),
    ("time-column", "Column of the rows' times."),
    ("version-column", "Column of model versions, each with results of its own."),
    ("report", "Folder of HTML and JSON reports."),
)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``run`` on tables, and of windows."""
    _add(parser, (*REFERENCE, *CURRENT, *ROLES, *READING, *WINDOWS))
    _add_reading(parser)


def add_calibrate_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``calibrate`` on a reference table."""
    _add(parser, (*REFERENCE, *ROLES, *READING))
    _add_reading(parser)


def add_reference_command(commands: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """The command ``reference``."""
    parser = commands.add_parser("reference", help="keep reference tables by name and version")
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|list|show|remove")
    add = actions.add_parser("add", help="keep a table as the next version of a name")
    add.add_argument("name", help="letters, digits, - and _")
    add.add_argument("file", nargs="?", help="the table; or give a URL and a query")
    _add(add, (*REFERENCE[1:], *ROLES, *READING))
    _add_reading(add)
    for action, text in (("show", "what is kept of it, as JSON"), ("remove", "forget it")):
        one = actions.add_parser(action, help=text)
        one.add_argument("name", help="NAME, or NAME@VERSION")
        _add_store(one)
    _add_store(actions.add_parser("list", help="all names and versions"))


def _add(parser: argparse.ArgumentParser, options: tuple[tuple[str, str], ...]) -> None:
    for option, text in options:
        with contextlib.suppress(argparse.ArgumentError):  # a setting of the job has this name, too
            parser.add_argument(f"--{option}", metavar="VALUE", help=text)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--probability",
        action="append",
        metavar="[CLASS=]COLUMN",
        help="column of the positive class's probability; or one for each class",
    )
    parser.add_argument(
        "--as",
        action="append",
        dest="kinds",
        metavar="COLUMN=KIND",
        help="compare a column as number, date, boolean or category, whatever it looks like",
    )
    _add_store(parser)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="PATH", help=f"folder of references (${STORE})")


class TableOptions:
    """The options of tables, taken out of all that were parsed.

    Args:
        arguments: parsed options; those of tables are taken away.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        others = (("probability", ""), ("kinds", ""), ("store", ""))
        known = (*REFERENCE, *CURRENT, *ROLES, *READING, *WINDOWS, *others)
        self._given = {
            name: arguments.pop(name, None)
            for name in (option.replace("-", "_") for option, _ in known)
        }
        self.notes: dict[str, None] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - one of two types
        return self._given[name]

    @property
    def of_tables(self) -> bool:
        """Whether tables are compared, and not the prediction log."""
        sides = (*REFERENCE, *CURRENT)
        return any(self._given[option.replace("-", "_")] for option, _ in sides)

    @property
    def store(self) -> Path:
        """Folder of the kept references."""
        return Path(self._given["store"] or os.environ.get(STORE) or "references")

    def of_log(self, arguments: dict[str, Any]) -> Cutting | None:
        """Windows of the prediction log to evaluate one by one, where ``--every`` is given.

        Args:
            arguments: settings of the job; a window's length becomes seconds, a folder of reports
                its output.

        Raises:
            DriftSettingsError: an option is of tables only.
            CuttingError: the windows can't be cut so.
        """
        from testbed_drift.rows.cutting import WindowOptions, seconds_of  # noqa: PLC0415 - as in __main__._build

        own = (*ROLES, *READING, *WINDOWS[2:4])
        alone = [name for name, _ in own if self._given[name.replace("-", "_")]]
        alone += [
            name for name, given in (("probability", self.probability), ("as", self.kinds)) if given
        ]
        if alone:
            named = alone[0]
            raise DriftSettingsError(f"--{named} is of tables: give --reference and --current")
        if self.report:
            arguments["output"] = self.report
        window = arguments.get("window")
        if self.every:
            arguments["window"] = None
            return WindowOptions(count(self.window_rows), window, self.every).cutting()
        if self.window_rows:
            arguments["window_rows"] = self.window_rows
        if window is not None:
            arguments["window"] = seconds_of(window)
        return None

    def reading(self) -> ReadOptions:
        """What is said of how to read the tables.

        Raises:
            SourceError: a value is not one of those that there are.
        """
        from testbed_domain.tables.reading import ReadOptions  # noqa: PLC0415 - as above

        return ReadOptions.parse(self.sep, self.decimal, self.encoding, self.kinds)

    def current_source(self) -> TableSource:
        """The table to evaluate."""
        from testbed_drift.tables.sources import open_source  # noqa: PLC0415 - as above

        given = (self.current, self.current_url, self.current_query)
        return open_source("current", *given, self.reading())

    def wanted(self, group: str | None = None) -> Wanted:
        """What to make of the tables.

        Raises:
            DriftSettingsError: the task is none.
        """
        from testbed_domain.features import TASKS  # noqa: PLC0415 - as in __main__._build

        from testbed_drift.tables.reference import Wanted  # noqa: PLC0415 - as in __main__._build
        from testbed_drift.tables.schema import Roles  # noqa: PLC0415 - the same

        predicted = [one.rpartition("=")[::2] for one in self.probability or ()]
        if self.task not in (None, *TASKS):
            raise DriftSettingsError(f"--task is {' or '.join(TASKS)}, not {self.task}")
        roles = Roles(self.target, self.prediction, dict(predicted), self.positive, self.task)
        columns = tuple(filter(None, (self.columns or "").split(",")))
        return Wanted(roles, columns, self.time_column, group)

    def read_reference(self, wanted: Wanted, *, thresholds: bool = True) -> Reference:
        """The reference: a file, a query, or one that is kept, with thresholds where it has any."""
        from testbed_drift.tables.reference import read_reference  # noqa: PLC0415 - the same
        from testbed_drift.tables.schema import Roles  # noqa: PLC0415 - the same
        from testbed_drift.tables.sources import open_source  # noqa: PLC0415 - the same
        from testbed_drift.tables.store import ReferenceStore, StoreError  # noqa: PLC0415 - the same

        name, store = self.reference, ReferenceStore(self.store)
        if name is None or Path(name).is_file():
            given = (name, self.reference_url, self.reference_query)
            source = open_source("reference", *given, self.reading())
            found = read_reference(source, wanted)
            self.notes.update(source.notes)
            return found
        if not store.holds(name) and ("." in name or os.sep in name):
            raise StoreError(f"there is no file {name}")
        found = store.load(name, thresholds=thresholds)
        if wanted.columns or self.kinds or wanted.roles not in (Roles(), found.schema.roles):
            raise StoreError(
                f"{found.title} has its own target, prediction, columns and kinds: leave these "
                f"options away, or add it again with them (testbed drift reference show "
                f"{found.name})"
            )
        return found


def count(text: str | None) -> int | None:
    """Rows of a window, or None where nothing was said.

    Raises:
        DriftSettingsError: it is no number above 0.
    """
    if text is None:
        return None
    if not text.isdecimal() or not int(text):
        raise DriftSettingsError(f"--window-rows is a number of rows, not {text}")
    return int(text)
