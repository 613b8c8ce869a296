"""Options of the commands that work on tables; :mod:`.opening` does what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from testbed_drift.settings import DriftSettingsError

SIDES: Final = (
    *("reference", "reference_url", "reference_query"),
    *("current", "current_url", "current_query"),
)
ROLES: Final = ("target", "prediction", "task", "probability", "positive", "columns")
READING: Final = ("sep", "decimal", "encoding", "kinds")
TIMES: Final = ("time_column", "version_column")


def _option(help_text: str, *names: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(*names, help=help_text, rich_help_panel="Tables")
    return found


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What was said about tables: which, what their columns are, and how to read and cut them."""

    reference: Annotated[
        str | None, _option("File, or name of a stored reference, to compare with.")
    ] = None
    reference_url: Annotated[
        str | None, _option("Database of the reference, as a SQLAlchemy URL.")
    ] = None
    reference_query: Annotated[str | None, _option("SELECT or table that gives the reference.")] = (
        None
    )
    current: Annotated[str | None, _option("File to evaluate.")] = None
    current_url: Annotated[
        str | None, _option("Database of what to evaluate, as a SQLAlchemy URL.")
    ] = None
    current_query: Annotated[
        str | None, _option("SELECT or table that gives what to evaluate.")
    ] = None
    target: Annotated[str | None, _option("Column of the labels.")] = None
    prediction: Annotated[str | None, _option("Column of the predicted classes or numbers.")] = None
    task: Annotated[
        str | None,
        _option(
            "What the target holds, classification or regression; default: a regression where it "
            "holds more than 20 different numbers."
        ),
    ] = None
    probability: Annotated[
        list[str] | None,
        _option("Column of the positive class's probability; or CLASS=COLUMN for each class."),
    ] = None
    positive: Annotated[str | None, _option("The positive class of two; default: the last.")] = None
    columns: Annotated[str | None, _option("Columns to compare, by commas; default: all.")] = None
    sep: Annotated[
        str | None, _option("Character between CSV columns, or tab; default: found out.")
    ] = None
    decimal: Annotated[
        str | None, _option("Decimal mark of numbers in text; default: found out.")
    ] = None
    encoding: Annotated[str | None, _option("Of CSV and JSON files; default: found out.")] = None
    kinds: Annotated[
        list[str] | None,
        _option("COLUMN=KIND: take it as number, date, boolean or category, as codes are.", "--as"),
    ] = None
    time_column: Annotated[
        str | None, _option("Column of the rows' times: dates, or Unix times.")
    ] = None
    version_column: Annotated[
        str | None, _option("Column of model versions, each with its own results.")
    ] = None
    store: Annotated[
        Path | None, _option("Folder of stored references; default: .testbed/references.")
    ] = None

    @property
    def of_tables(self) -> bool:
        """Whether tables are compared, and not the prediction log."""
        return any(getattr(self, name) for name in SIDES)

    def refuse_for_log(self) -> None:
        """Check that nothing was said that holds for tables only.

        Raises:
            DriftSettingsError: an option is of tables only.
        """
        for name in (*ROLES, *READING, *TIMES):
            if getattr(self, name):
                option = "as" if name == "kinds" else name.replace("_", "-")
                raise DriftSettingsError(f"--{option} is of tables: give --reference and --current")
