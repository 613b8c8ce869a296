"""``testbed drift`` on tables: real files, a real PostgreSQL server, the page's own commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pandas as pd
import psycopg
import pytest
from testbed_drift.cli import main

if TYPE_CHECKING:
    from tests.support.datafiles import DataFile
    from tests.support.postgres import PostgresServer

ROWS = 500


@dataclass(frozen=True)
class Shell:
    """Gives commands in a folder: to this process, which has loaded what they need, or typed."""

    folder: Path
    schema: dict[str, Any]
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str | Path) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command, within this process."""
        code = main([*map(str, words)])
        return (code, *self.capsys.readouterr())

    def typed(self, *words: str) -> str:
        """Standard output of ``testbed drift``, as a user types it."""
        program = Path(sys.executable).with_name("testbed")
        done = subprocess.run(
            [str(program), "drift", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.stdout

    def object(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        """Exit code and the object of a comparison."""
        code, output, _ = self("run", *words, "--json")
        found: dict[str, Any] = json.loads(output)
        jsonschema.validate(found, self.schema)
        return code, found


@pytest.fixture
def shell(
    tmp_path: Path,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """A shell in an empty folder, in which nothing of the testbed is set."""
    for name in (name for name in os.environ if "TESTBED" in name):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    schema = repository / "docs" / "reference" / "drift-run.schema.json"
    return Shell(tmp_path, json.loads(schema.read_text(encoding="utf-8")), capsys)


def _drawn(path: Path, seed: int, rows: int = 1000) -> pd.DataFrame:
    """Rows drawn with replacement from the very file that is the reference."""
    table = pd.read_csv(path)
    return table.iloc[np.random.default_rng(seed).integers(len(table), size=rows)]


def test_the_passenger_list(shell: Shell, titanic_file: DataFile) -> None:
    """Names, tickets and numbers are no columns to compare; only women is a drift of several."""
    _drawn(titanic_file.path, 1).to_csv(shell.folder / "same.csv", index=False)
    table = pd.read_csv(titanic_file.path)
    table[table["Sex"] == "female"].to_csv(shell.folder / "women.csv", index=False)
    roles = ("--reference", titanic_file.path, "--target", "Survived")
    code, found = shell.object(*roles, "--current", "same.csv")
    assert (code, found["decision"]) == (0, "NO_ACTION")
    assert set(found["left_out"]) == {"PassengerId", "Name", "Ticket"}
    assert found["kinds"]["Age"]["kind"] == "number"
    cabins = titanic_file.distinct["Cabin"]
    assert found["kinds"]["Cabin"] == {"kind": "category", "values": cabins, "retained": cabins}
    code, found = shell.object(*roles, "--current", "women.csv")
    assert (code, found["decision"]) == (1, "ALERT")
    assert found["columns"]["Sex"]["drifted"]
    assert found["target_drift"]["drifted"]


def test_the_customers_by_contract(shell: Shell, churn_file: DataFile) -> None:
    """Blank numbers are missing, ids are left out, and each contract is distinguished."""
    reference = ("--reference", churn_file.path, "--target", "Churn")
    _drawn(churn_file.path, 2, 3000).to_json(
        shell.folder / "now.jsonl", orient="records", lines=True
    )
    code, found = shell.object(*reference, "--current", "now.jsonl")
    assert (code, found["decision"], found["drift_share"]) == (0, "NO_ACTION", 0)
    assert found["kinds"]["TotalCharges"]["kind"] == "number"
    assert found["quality"]["columns"]["TotalCharges"]["type_change"] == 0
    assert list(found["left_out"]) == ["customerID"]
    moved = _drawn(churn_file.path, 3, 3000)
    moved.loc[moved["Contract"] == "Two year", "MonthlyCharges"] *= 1.5
    moved.to_csv(shell.folder / "moved.csv.gz", index=False)
    code, output, _ = shell(
        "run", *reference, "--current", "moved.csv.gz", "--segment", "Contract",
        "--columns", "MonthlyCharges,tenure", "--json",
    )  # fmt: skip
    groups = {one["group"]: one for one in map(json.loads, output.splitlines())}
    assert code == 1
    assert {name: one["decision"] for name, one in groups.items()} == {
        "Contract=Month-to-month": "NO_ACTION",
        "Contract=One year": "NO_ACTION",
        "Contract=Two year": "RETRAIN",
    }


@pytest.mark.parametrize("diabetes_file", ["own"], indirect=True)
def test_a_stored_reference_by_its_name(
    shell: Shell, diabetes_file: DataFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added, calibrated and used by its name; stale when its file changes."""
    monkeypatch.setenv("TESTBED_DRIFT_REFERENCES", str(shell.folder / "references"))
    table = pd.read_csv(diabetes_file.path)
    table.to_csv(shell.folder / "pima.csv", index=False)
    code, output, _ = shell("reference", "add", "pima", "pima.csv", "--target", "Outcome")
    assert code == 0
    assert output.startswith("stored as pima@1: 768 rows; Pregnancies (number)")
    assert (shell.folder / "references" / "pima" / "1" / "rows.parquet").is_file()
    options = ("--rows", "300", "--draws", "500", "--budget", "0.02")
    assert shell("calibrate", "--reference", "pima", *options)[0] == 0
    _drawn(diabetes_file.path, 4).to_parquet(shell.folder / "now.parquet")
    code, found = shell.object("--reference", "pima", "--current", "now.parquet")
    assert (code, found["decision"], found["model_version"]) == (0, "NO_ACTION", "pima@1")
    table.head(700).to_csv(shell.folder / "pima.csv", index=False)
    code, output, error = shell("run", "--reference", "pima", "--current", "now.parquet")
    assert (code, output) == (2, "")
    assert "the reference pima@1 is stale" in error


def _people(seed: int, shift: float) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    return [
        (
            float(rng.normal(30 + 10 * shift, 10)),
            float(rng.integers(0, 9999)) / 100,
            str(rng.choice(["ä", "100%", "c:d"])),
            bool(rng.random() < 0.5),
            (start + pd.Timedelta(days=int(rng.integers(365)))).date(),
            start + pd.Timedelta(hours=row),
            int(rng.integers(2)),
            bytes(8),
        )
        for row in range(ROWS)
    ]


def test_tables_in_postgresql(
    shell: Shell, postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types of the server, names that need quotes, windows by its times; no password is shown."""
    with psycopg.connect(postgresql.url) as connection:
        connection.execute("CREATE SEQUENCE counter")
        for name, shift in (("before", 0.0), ("now", 0.0), ("moved", 1.0)):
            connection.execute(
                f'CREATE TABLE {name} ("Age" double precision, price numeric(8, 2), "two words" '
                "text, open boolean, day date, seen timestamptz, y integer, raw bytea)".encode()
            )
            with connection.cursor().copy(f"COPY {name} FROM STDIN".encode()) as copy:
                for row in _people(len(name), shift):
                    copy.write_row(row)
    url = f"postgresql://tester@127.0.0.1:{postgresql.port}/postgres"
    monkeypatch.setenv("PGPASSWORD", "secret-of-the-test")
    sides = ("--reference-url", url, "--reference-query", "before", "--current-url", url)
    all_columns = ("--columns", "Age,price,two words,open,day", *sides, "--current-query")
    code, found = shell.object(*all_columns, "now")
    assert (code, found["decision"]) == (0, "NO_ACTION")
    kinds = {name: kind["kind"] for name, kind in found["kinds"].items()}
    assert kinds == {
        "Age": "number",
        "price": "number",
        "two words": "category",
        "open": "boolean",
        "day": "date",
    }
    some = (*sides, "--target", "y", "--time-column", "seen", "--columns", "Age,price,two words")
    current = "--current-query"
    query = "SELECT * FROM moved WHERE \"two words\" LIKE '100\\%' OR raw IS NOT NULL;"
    code, found = shell.object(*some, current, query)
    assert code == 1
    assert [name for name, column in found["columns"].items() if column["drifted"]] == ["Age"]
    code, output, _ = shell("run", *some, current, "moved", "--window", "1w", "--min-rows", "100")
    assert code == 1
    assert output.count("decision=") == 2
    assert output.count("insufficient_data") == 2
    code, output, error = shell("run", *some, current, "SELECT *, nextval('counter') FROM now")
    assert (code, output) == (2, "")
    assert "cannot execute nextval() in a read-only transaction" in error
    wrong = f"postgresql://tester:mistaken@127.0.0.1:{postgresql.port}/postgres"
    code, output, error = shell("run", *some, "--current-url", wrong, current, "now")
    assert code == 2
    assert "password authentication failed" in error
    assert "mistaken" not in error + output


@pytest.mark.long
def test_the_page_shows_what_is_printed(shell: Shell, repository: Path) -> None:
    """The commands of the how-to page print what stands below them, on the tables that it makes."""
    text = (repository / "docs" / "how-to" / "compare-tables.md").read_text(encoding="utf-8")
    program = "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    subprocess.run([sys.executable, "-c", program], cwd=shell.folder, check=True, timeout=300)
    shown = re.findall(r"```sh\n([^`]*)```\n\n```text\n([^`]*)```", text)
    assert len(shown) == 3
    for commands, output in shown:
        printed = ""
        for command in commands.splitlines():
            words = shlex.split(command)
            assert words[:2] == ["testbed", "drift"]
            printed += shell.typed(*words[2:])
        assert printed.replace(f"{shell.folder}/", "") == output
