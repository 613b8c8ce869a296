"""Reference tables that are kept: versioned, hashed, with their calibration beside them.

``NAME/VERSION/`` in the store's folder holds ``reference.json`` (where the rows came from, what the
columns are, the hash of the rows), ``rows.parquet`` (only the columns that are compared) and
``calibration.json``. A version never changes but for its calibration; a folder under its final name
is whole.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from testbed_domain.errors import DomainError
from testbed_domain.files import read_regular, refuse_other_than_folder
from testbed_domain.tables.columnkinds import numbers, texts
from testbed_domain.tables.files import FileSource

from testbed_drift.scoring.calibration import FILE as CALIBRATION
from testbed_drift.scoring.calibration import Calibration, reference_hash
from testbed_drift.tables.reference import Reference, read_table
from testbed_drift.tables.rows import TableRows
from testbed_drift.tables.schema import TableSchema
from testbed_drift.tables.sources import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_drift.tables.reference import WantedReference
    from testbed_drift.tables.sources import TableSource

SCHEMA_VERSION: Final = 1
MANIFEST: Final = "reference.json"
ROWS: Final = "rows.parquet"
NAME: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,63})(?:@([1-9]\d*))?")


class StoreError(DomainError):
    """A reference that is not kept, stale, foreign or damaged. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class StoredReference:
    """One version of a stored reference.

    Attributes:
        folder: where it lies.
        name: its name.
        version: its number, from 1.
        created: ISO 8601 time at which it was added.
        source: where the rows came from, see :class:`testbed_drift.tables.sources.TableSource`.
        rows: number of rows.
        schema: its columns.
        reference_sha256: see :func:`testbed_drift.scoring.calibration.reference_hash`.
    """

    folder: Path
    name: str
    version: int
    created: str
    source: dict[str, Any]
    rows: int
    schema: TableSchema
    reference_sha256: str

    @property
    def title(self) -> str:
        """``NAME@VERSION``."""
        return f"{self.name}@{self.version}"

    @property
    def calibration(self) -> Path:
        """File of its calibration; may not be there."""
        return self.folder / CALIBRATION

    def manifest(self) -> dict[str, Any]:
        """Content of ``reference.json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "version": self.version,
            "created": self.created,
            "source": self.source,
            "rows": self.rows,
            "schema": self.schema.to_dict(),
            "reference_sha256": self.reference_sha256,
        }


class ReferenceStore:
    """References in a folder. Two processes may add at once: each gets its own version.

    Args:
        folder: made when the first reference is added.

    Raises:
        StoreError: it is no folder.
    """

    def __init__(self, folder: Path) -> None:
        try:
            refuse_other_than_folder(folder)
        except OSError as error:
            raise StoreError(
                f"the store of references {folder} can't be used: {error.filename}: "
                f"{error.strerror}: mend it, or choose another (--store, TESTBED_DRIFT_REFERENCES)"
            ) from error
        self._folder = folder

    def add(
        self, name: str, source: TableSource, wanted: WantedReference, created: str
    ) -> tuple[StoredReference, bool]:
        """Keep a table, as the next version of its name.

        Args:
            name: letters, digits, ``-`` and ``_``.
            source: the table.
            wanted: which of its columns are what.
            created: ISO 8601 time.

        Returns:
            What is kept, and whether it is new: the latest version is not kept twice.

        Raises:
            StoreError: the name is none.
            DomainError: the table can't be read or is no reference.
        """
        found = NAME.fullmatch(name)
        if found is None or found[2]:
            raise StoreError(f"{name!r} is not a valid name: use letters, digits, - and _")
        frame, schema = read_table(source, wanted)
        table = _plain(frame, schema)
        digest = reference_hash(TableRows.of(table, schema, typed=schema.typed).frame)
        latest = max(self._versions(name), default=0)
        origin = source.identity()
        if latest:
            last = self._read(name, latest)
            if (last.reference_sha256, last.schema, last.source) == (digest, schema, origin):
                return last, False
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".new-") as temporary:
            table.to_parquet(Path(temporary) / ROWS, index=False)
            for number in range(latest + 1, latest + 1000):
                stored = StoredReference(
                    self._folder / name / str(number),
                    name,
                    number,
                    created,
                    origin,
                    len(table),
                    schema,
                    digest,
                )
                text = json.dumps(stored.manifest(), indent=1) + "\n"
                (Path(temporary) / MANIFEST).write_text(text, encoding="utf-8")
                if _moved(Path(temporary), stored.folder):
                    return stored, True
        raise StoreError(f"cannot add {name}: others add versions all the time")

    def names(self) -> Iterator[StoredReference]:
        """Every version of every reference, by name and number.

        Raises:
            StoreError: one is damaged.
        """
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        for folder in sorted(folders):
            for version in sorted(self._versions(folder.name)):
                yield self._read(folder.name, version)

    def holds(self, title: str) -> bool:
        """Whether a reference of that name is kept, whatever its version."""
        found = NAME.fullmatch(title)
        return found is not None and bool(self._versions(found[1]))

    def find(self, title: str) -> StoredReference:
        """A version by ``NAME@VERSION``, the latest by ``NAME``.

        Raises:
            StoreError: it is not kept.
        """
        found = NAME.fullmatch(title)
        versions = self._versions(found[1]) if found else set()
        number = int(found[2]) if found and found[2] else max(versions, default=0)
        if found is None or number not in versions:
            known = ", ".join(dict.fromkeys(stored.name for stored in self.names())) or "none"
            raise StoreError(
                f"there is no reference {title} (stored: {known}): add it with testbed drift "
                "reference add"
            )
        return self._read(found[1], number)

    def load(self, title: str, *, thresholds: bool = True) -> Reference:
        """A stored reference with its rows and its calibration.

        Without a version, the file that it came from must be what it was, or be gone; with one,
        the kept rows alone count.

        Args:
            title: ``NAME`` or ``NAME@VERSION``.
            thresholds: whether its calibration is wanted, where it has one.

        Raises:
            StoreError: it is not kept, stale, foreign or damaged.
            CalibrationError: its calibration is.
        """
        stored = self.find(title)
        try:
            if "@" not in title:
                _verify_fresh(stored)
            table = pd.read_parquet(stored.folder / ROWS)
            rows = TableRows.of(table, stored.schema, typed=stored.schema.typed)
        except (OSError, *_WRONG) as error:
            raise _damaged(stored.title, error) from error
        # Columns to distinguish results by stand among those that are compared.
        rows = replace(rows, groups=None)
        if reference_hash(rows.frame) != stored.reference_sha256:
            raise _damaged(stored.title, "its rows don't fit their hash")
        calibration = None
        if thresholds and stored.calibration.exists():
            calibration = Calibration.load(stored.calibration)
            calibration.verify(stored.title, rows.frame)
        return Reference(
            stored.title, f"reference {stored.title}", stored.schema, rows, calibration
        )

    def remove(self, title: str) -> list[str]:
        """Remove one version, or all of a name; returns which.

        Raises:
            StoreError: it is not kept.
        """
        stored = self.find(title)
        gone = [stored.folder] if "@" in title else sorted(stored.folder.parent.glob("[0-9]*"))
        for folder in gone:
            shutil.rmtree(folder)
        if not any(stored.folder.parent.iterdir()):
            stored.folder.parent.rmdir()
        return [f"{stored.name}@{folder.name}" for folder in gone]

    def _versions(self, name: str) -> set[int]:
        folder = self._folder / name
        found = folder.iterdir() if NAME.fullmatch(name) and folder.is_dir() else ()
        return {int(path.name) for path in found if path.name.isdecimal()}

    def _read(self, name: str, version: int) -> StoredReference:
        folder = self._folder / name / str(version)
        try:
            data = json.loads(read_regular(folder / MANIFEST))
            schema_version = data.pop("schema_version")
            stored = StoredReference(
                folder, schema=TableSchema.from_dict(data.pop("schema")), **data
            )
        except (OSError, *_WRONG) as error:
            raise _damaged(f"{name}@{version}", error) from error
        if schema_version != SCHEMA_VERSION or (stored.name, stored.version) != (name, version):
            raise _damaged(stored.title, "it is of another version of this program, or was moved")
        return stored


# What comes of a manifest that is no JSON, or whose parts are of other types than were written.
_WRONG: Final = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


def _damaged(title: str, reason: object) -> StoreError:
    return StoreError(
        f"the reference {title} is damaged or foreign ({reason}): remove it, testbed drift "
        "reference remove, and add it again"
    )


def _verify_fresh(stored: StoredReference) -> None:
    path = Path(stored.source.get("path", ""))
    if stored.source["kind"] != "file" or not path.is_file():
        return
    try:
        now = FileSource.of(path).identity()
    except SourceError as error:
        raise StoreError(f"the file of reference {stored.title}: {error}") from error
    if now["sha256"] != stored.source["sha256"]:
        raise StoreError(
            f"the reference {stored.title} is stale, {path} has changed: add it again (testbed "
            f"drift reference add {stored.name}), or say {stored.title} to keep to the rows of then"
        )


def _plain(frame: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """The columns in types that Parquet holds, which read as the same values."""
    plain: dict[str, Any] = {}
    for column in (*schema.columns, *schema.numbers):
        values = column.cleaned(frame[column.name], typed=schema.typed)
        if column.kind == "number":
            read = numbers(values, column.decimal, schema.decimal)
            # Of 32 bits it stays: what it is compared with has to know.
            exact = values.dtype if pd.api.types.is_float_dtype(values) else "float64"
            plain[column.name] = read.astype(str(exact).lower())
        elif column.kind == "date" and not pd.api.types.is_datetime64_any_dtype(values):
            plain[column.name] = texts(values.map(str, na_action="ignore"))
        else:
            plain[column.name] = values if column.kind == "date" else texts(values)
    for name in () if schema.numbers else schema.roles.columns:
        predicted = name in schema.roles.probabilities.values()
        plain[name] = (
            numbers(frame[name])
            if predicted
            else schema.classes_of(frame[name], typed=schema.typed)
        )
    return pd.DataFrame(plain, index=np.arange(len(frame)) if frame.empty else frame.index)


def _moved(folder: Path, final: Path) -> bool:
    """Copy under a temporary name beside the final one and move it there, unless that is taken."""
    final.parent.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(dir=final.parent, prefix=".new-"))
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    copy.chmod(0o755)
    try:
        copy.rename(final)
    except OSError:
        shutil.rmtree(copy)
        return False
    return True
