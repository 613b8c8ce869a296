"""References that are kept: versions, hashes, thresholds, and what makes one useless."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_drift.cli import main
from testbed_drift.scoring.calibration import Calibration, CalibrationError, reference_hash
from testbed_drift.settings import DriftSettings
from testbed_drift.tables.reference import WantedReference, read_reference
from testbed_drift.tables.schema import ColumnRoles
from testbed_drift.tables.sources import open_source
from testbed_drift.tables.store import MANIFEST, ROWS, ReferenceStore, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_drift.tables.store import StoredReference

WANTED = WantedReference(ColumnRoles("y"))
QUICK = ["--rows", "300", "--draws", "300", "--budget", "0.02", "--shift", "1"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches the tests; references are kept in a folder of the test."""
    for name in DriftSettings.model_fields:
        monkeypatch.delenv(f"TESTBED_DRIFT_{name.upper()}", raising=False)
    monkeypatch.setenv("TESTBED_DRIFT_REFERENCES", str(tmp_path / "kept"))


def table(seed: int, rows: int = 400, shift: float = 0.0) -> pd.DataFrame:
    """Columns of every kind that a file or a database may have."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(shift, 1, rows),
            "price": [Decimal(int(cents)) / 100 for cents in rng.integers(0, 9999, rows)],
            "day": [dt.date(2024, 1, int(day)) for day in rng.integers(1, 29, rows)],
            "since": pd.to_datetime(rng.integers(0, 10**9, rows), unit="s", utc=True),
            "open": rng.choice(np.array([True, False, None]), rows),
            "town": rng.choice(np.array(["a", " b", None]), rows),
            "y": rng.choice([0, 1], rows),
        }
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A reference table."""
    path = tmp_path / "a.parquet"
    table(1).to_parquet(path)
    return path


@pytest.fixture
def store(tmp_path: Path) -> ReferenceStore:
    """An empty store."""
    return ReferenceStore(tmp_path / "kept")


def _add(store: ReferenceStore, file: Path, name: str = "shop") -> tuple[StoredReference, bool]:
    return store.add(name, open_source("reference", str(file), None, None), WANTED, "now")


def test_what_is_kept_is_what_was_read(store: ReferenceStore, file: Path) -> None:
    """Kinds and values come back, so the hash does: Decimal, dates, booleans, missing values."""
    kept, new = _add(store, file)
    assert (kept.title, new, kept.rows) == ("shop@1", True, 400)
    read = read_reference(open_source("reference", str(file), None, None), WANTED)
    loaded = store.load("shop")
    assert loaded.schema == read.schema == kept.schema
    kinds = {column.name: column.kind for column in loaded.schema.columns}
    assert kinds == {
        "age": "number",
        "price": "number",
        "day": "date",
        "since": "date",
        "open": "boolean",
        "town": "category",
    }
    assert reference_hash(loaded.rows.frame) == reference_hash(read.rows.frame)


def test_the_same_rows_are_kept_once_and_others_as_the_next_version(
    store: ReferenceStore, file: Path
) -> None:
    """The name alone is the latest version; each is there by its number until it is removed."""
    assert [_add(store, file)[1] for _ in range(2)] == [True, False]
    table(2).to_parquet(file)
    assert _add(store, file)[0].title == "shop@2"
    _add(store, file, "other")
    assert [kept.title for kept in store.names()] == ["other@1", "shop@1", "shop@2"]
    assert store.find("shop").version == 2
    assert store.remove("shop@1") == ["shop@1"]
    assert _add(store, file)[0].title == "shop@2"
    assert store.remove("shop") == ["shop@2"]
    assert not store.holds("shop")


def test_a_stale_reference_is_an_error_that_says_what_to_do(
    store: ReferenceStore, file: Path
) -> None:
    """A changed file makes the name stale; its version, and a file that is gone, do not."""
    _add(store, file)
    table(2).to_parquet(file)
    with pytest.raises(StoreError, match=r"stale.*add it again.*or say shop@1"):
        store.load("shop")
    rows = store.load("shop@1").rows
    assert len(rows) == 400
    file.unlink()
    assert store.load("shop").name == "shop@1"


def _change_rows(kept: StoredReference) -> None:
    path = kept.folder / ROWS
    rows = pd.read_parquet(path)
    rows["age"] += 1
    rows.to_parquet(path)


def _change_manifest(kept: StoredReference, **changes: Any) -> None:  # noqa: ANN401 - any part of it
    path = kept.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_damaged_or_foreign_reference_is_an_error(store: ReferenceStore, file: Path) -> None:
    """Changed rows, another program's version, a moved folder, a file that is none."""
    kept, _ = _add(store, file)
    before = (kept.folder / MANIFEST).read_text()
    for change in (
        {"schema_version": 9},
        {"name": "mine"},
        {"reference_sha256": "0"},
        {"rows2": 1},
    ):
        _change_manifest(kept, **change)
        with pytest.raises(StoreError, match=r"shop@1.* damaged or foreign|mine@1.* damaged"):
            store.load("shop")
        (kept.folder / MANIFEST).write_text(before)
    _change_rows(kept)
    with pytest.raises(StoreError, match="don't fit their hash"):
        store.load("shop")
    (kept.folder / ROWS).write_text("no parquet")
    with pytest.raises(StoreError, match="damaged or foreign"):
        store.load("shop")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("source",), "x"),
        (("source", "path"), []),
        (("schema", "roles", "target"), []),
        (("schema", "roles", "probabilities"), None),
        (("schema", "columns", 0, "name"), 1),
    ],
)
def test_a_part_of_another_type_is_damage(
    store: ReferenceStore, file: Path, place: tuple[Any, ...], value: object
) -> None:
    """Whoever edited the manifest reads one line that names the reference."""
    kept, _ = _add(store, file)
    path = kept.folder / MANIFEST
    content = json.loads(path.read_text())
    part = content
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"shop@1.* is damaged or foreign"):
        store.load("shop")


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a@1", "a b", "-a"])
def test_names_are_no_paths(store: ReferenceStore, file: Path, name: str) -> None:
    """What could lead out of the store is no name."""
    with pytest.raises(StoreError, match="is not a valid name"):
        _add(store, file, name)
    assert not store.holds(name.replace("a@1", "../kept"))


def test_what_is_not_kept_is_named_with_what_is(store: ReferenceStore, file: Path) -> None:
    """The line lists the names."""
    _add(store, file)
    for title in ("ship", "shop@2"):
        with pytest.raises(StoreError, match=rf"there is no reference {title} \(stored: shop\)"):
            store.load(title)


def _run(*arguments: str | Path) -> int:
    return main([str(word) for word in arguments])


@pytest.mark.slow
def test_thresholds_stand_beside_the_reference(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Calibrated once, a stored reference is evaluated by its own thresholds and least rows."""
    assert _run("reference", "add", "shop", file, "--target", "y") == 0
    table(2).to_parquet(tmp_path / "b.parquet")
    compare = ("run", "--reference", "shop", "--current", tmp_path / "b.parquet", "--json")
    assert _run(*compare) == 0
    assert _run("calibrate", "--reference", "shop", *QUICK) == 0
    capsys.readouterr()
    assert _run(*compare) == 0
    found = json.loads(capsys.readouterr().out)
    calibration = Calibration.load(tmp_path / "kept" / "shop" / "1" / "calibration.json")
    assert found["columns"]["age"]["scores"][0]["threshold"] == calibration.alphas["age"]
    assert found["bound"] == f"< {calibration.alert_share:.2f}"
    table(3, 299).to_parquet(tmp_path / "b.parquet")
    assert _run(*compare) == 2
    few = json.loads(capsys.readouterr().out)
    assert few["rows_needed"] == calibration.min_rows >= 300
    assert "false positives" in few["message"]
    (tmp_path / "kept" / "shop" / "1" / "calibration.json").write_text("broken")
    assert _run(*compare) == 2
    assert "run testbed drift calibrate" in json.loads(capsys.readouterr().out)["message"]
    assert _run("calibrate", "--reference", "shop", *QUICK) == 0
    assert _run("reference", "list") == 0
    assert "shop@1  400 rows  6 columns  calibrated" in capsys.readouterr().out


@pytest.mark.slow
def test_thresholds_of_another_reference_are_refused(
    tmp_path: Path, file: Path, store: ReferenceStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Foreign by its name or by its rows; of a file, thresholds go where --output says."""
    assert _run("calibrate", "--reference", file, "--target", "y", *QUICK) == 2
    assert "--output FILE" in capsys.readouterr().err
    given: tuple[str | Path, ...] = ("--target", "y", *QUICK, "--output", tmp_path / "c.json")
    assert _run("calibrate", "--reference", file, *given) == 0
    table(2).to_parquet(tmp_path / "b.parquet")
    compare = ("run", "--reference", file, "--target", "y", "--current", tmp_path / "b.parquet")
    assert _run(*compare, "--calibration", tmp_path / "c.json") == 0
    table(3).to_parquet(file)
    assert _run(*compare, "--calibration", tmp_path / "c.json") == 2
    assert "from another reference: run testbed drift calibrate again" in capsys.readouterr().err
    kept, _ = _add(store, file)
    (tmp_path / "c.json").rename(kept.calibration)
    with pytest.raises(CalibrationError, match="is of model a, not of shop@1"):
        store.load("shop")


@pytest.mark.slow
def test_a_kept_reference_has_its_own_columns(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options that contradict it are refused; a name with a dot that is no file is no name."""
    assert _run("reference", "add", "shop", file, "--target", "y", "--columns", "age,y2") == 2
    assert "no column y2" in capsys.readouterr().err
    assert _run("reference", "add", "shop", file, "--target", "y") == 0
    compare = ("run", "--reference", "shop", "--current", file)
    assert _run(*compare, "--target", "y") == 0
    assert _run(*compare, "--target", "open") == 2
    assert "has its own target" in capsys.readouterr().err
    assert _run("run", "--reference", "b.parquet", "--current", file) == 2
    assert "there is no file b.parquet" in capsys.readouterr().err
    assert _run(*compare, "--segment", "town", "--min-rows", "50") == 0
    assert _run(*compare, "--segment", "y") == 2
    assert "holds no column y" in capsys.readouterr().err


def test_a_query_is_kept_as_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Later rows of the table change nothing until it is added again."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    add = ("reference", "add", "shop", "--reference-url", url, "--reference-query", "visits")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        table(1)[["age", "y"]].to_sql("visits", connection, index=False)
    assert _run(*add, "--target", "y") == 0
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        table(2, shift=9)[["age", "y"]].to_sql(
            "visits", connection, index=False, if_exists="append"
        )
    connection.close()
    table(3).to_csv(tmp_path / "now.csv", index=False)
    assert _run("run", "--reference", "shop", "--current", tmp_path / "now.csv") == 0
    capsys.readouterr()
    assert _run(*add, "--target", "y") == 0
    assert "stored as shop@2: 800 rows" in capsys.readouterr().out
    assert _run("run", "--reference", "shop", "--current", tmp_path / "now.csv") == 1
    assert _run("reference", "show", "shop") == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["source"]["kind"] == "query"


def test_two_can_add_at_once(store: ReferenceStore, file: Path, tmp_path: Path) -> None:
    """Who comes second finds its number taken and takes the next; no half version is seen."""
    kept, _ = _add(store, file)
    table(2).to_parquet(file)
    (tmp_path / "kept" / "shop" / "2").mkdir()
    (tmp_path / "kept" / "shop" / "2" / "part").touch()
    late = ReferenceStore(tmp_path / "kept")
    late._versions = lambda _name: {1}  # type: ignore[assignment, method-assign] # as it was before the other
    assert _add(late, file)[0].version == 3
    assert {path.name for path in kept.folder.parent.iterdir()} == {"1", "2", "3"}
