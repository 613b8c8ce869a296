"""The churn use case: its generator, files of customers, and the feature table."""

from __future__ import annotations

import math
import re
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest
from testbed_domain.artefact import Artefact, ArtefactError, load_artefact
from testbed_domain.dataset import DataError, read_file
from testbed_domain.featuretable import FeatureTable, write_table
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case
from testbed_domain.use_cases.churn import FORMULA, SCHEMA, keys, probability, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.features import Row
    from testbed_domain.use_cases import Sample

    from tests.support.datafiles import DataFile

CHURN = get_use_case("churn")
EXAMPLE: Row = {feature.name: feature.example for feature in SCHEMA.features}
N = 20_000


@pytest.fixture(scope="module")
def drawn() -> Sample:
    """20,000 customers; a share of one half then has a standard error of 0.0035."""
    return sample(np.random.default_rng(11), N)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, small: TrainingOptions) -> Artefact:
    """A small churn model from the generator; read only."""
    return train(CHURN, None, 7, tmp_path_factory.mktemp("churn") / "model", small)


def test_shares_near_the_real_customers(drawn: Sample) -> None:
    """Churn, contracts and services lie near the shares of the 7,043 real customers."""
    rows, labels = drawn

    def ratio(name: str, value: object) -> float:
        return float(np.mean([row[name] == value for row in rows]))

    assert labels.count("Yes") / N == pytest.approx(0.265, abs=0.02)
    assert ratio("Contract", "Month-to-month") == pytest.approx(0.55, abs=0.03)
    assert ratio("InternetService", "Fiber optic") == pytest.approx(0.44, abs=0.02)
    assert ratio("PhoneService", "Yes") == pytest.approx(0.903, abs=0.02)
    assert ratio("PaymentMethod", "Electronic check") == pytest.approx(0.336, abs=0.02)
    assert ratio("TotalCharges", None) == pytest.approx(0.0016, abs=0.0015)


def test_services_hang_together(drawn: Sample) -> None:
    """Without internet or telephone no service needs them, and only new customers lack a total."""
    for row in drawn[0]:
        assert (row["OnlineSecurity"] == "No internet service") == (row["InternetService"] == "No")
        assert (row["MultipleLines"] == "No phone service") == (row["PhoneService"] == "No")
        assert (row["TotalCharges"] is None) == (row["tenure"] == 0)


def test_labels_follow_the_formula(drawn: Sample) -> None:
    """Among rows of like probability, the share that leaves is that probability."""
    truth, labels = probability(drawn[0]), np.array([label == "Yes" for label in drawn[1]])
    for low in np.arange(0.0, 1.0, 0.1):
        band = (truth >= low) & (truth < low + 0.1)
        if band.sum():
            error = math.sqrt(0.25 / band.sum())
            assert labels[band].mean() == pytest.approx(truth[band].mean(), abs=4 * error)


def test_formula_by_hand() -> None:
    """The documented example, computed by hand from the formula's text."""
    assert "-1.45 + -0.035 (tenure - 29)" in FORMULA
    assert "0.5 (PaymentMethod = Electronic check)" in FORMULA
    logit = -1.45 - 0.035 * (1 - 29) + 0.5 + 0.35
    assert probability([EXAMPLE])[0] == pytest.approx(1 / (1 + math.exp(-logit)))


def test_ids_differ_and_begin_with_the_documented_one() -> None:
    """Seeded ids of the table's shape, each once."""
    found = keys(np.random.default_rng(1), 3000)
    assert len(set(found)) == 3000
    assert found[0] == "7590-VHVEG"
    assert all(re.fullmatch(r"\d{4}-[A-Z]{5}", identifier) for identifier in found)
    assert found == keys(np.random.default_rng(1), 3000)


@pytest.mark.slow
def test_a_file_of_customers(churn_file: DataFile) -> None:
    """All 7,043 customers come; blank totals are missing values."""
    data = read_file(CHURN, churn_file.path)
    assert len(data.rows) == len(data.keys) == churn_file.rows == 7043
    assert (data.keys[0], data.rows[0]) == (churn_file.key, churn_file.first)
    blank = sum(row["TotalCharges"] is None for row in data.rows)
    assert blank == churn_file.missing["TotalCharges"] > 0
    assert data.labels.count("Yes") == churn_file.positives


def test_the_model_of_a_file_and_its_feature_table(churn_file: DataFile, tmp_path: Path) -> None:
    """The forest is as good as forests are on these rows, and each customer is in the table."""
    artefact = train(CHURN, churn_file.path, 0, tmp_path / "m", TrainingOptions(30, 8))
    assert artefact.metrics["accuracy"] > 0.77
    assert artefact.metrics["roc_auc"] > (0.80 if churn_file.generated else 0.81)
    table = FeatureTable.of(artefact)
    assert table is not None
    assert len(table) == 7043
    assert table.get(churn_file.key) == churn_file.first


def test_the_generated_table_knows_the_documented_customer(model: Artefact) -> None:
    """The reference rows are in the table, under ids of their own."""
    table = FeatureTable.of(model)
    assert table is not None
    reference = [row.features for row in model.reference()]
    assert table.get("7590-VHVEG") == reference[0]
    assert len(table) == len(reference)
    assert table.get("0000-NOONE") is None
    assert [table.get(identifier) in reference for identifier, _ in table.rows()[:5]] == [True] * 5


def test_the_same_training_gives_the_same_table(
    model: Artefact, tmp_path: Path, small: TrainingOptions
) -> None:
    """The table counts towards the version, so its bytes must not vary."""
    assert train(CHURN, None, 7, tmp_path / "again", small).files == model.files


def test_a_changed_table_is_refused(
    model: Artefact, copied: Callable[[Artefact], Artefact]
) -> None:
    """The table is hashed like every other file."""
    path = copied(model).path
    with sqlite3.connect(path / "features.db") as connection:
        connection.execute("UPDATE features SET row = '{}'")
    connection.close()
    with pytest.raises(ArtefactError, match=r"features\.db differs from its hash"):
        load_artefact(path)


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    """One line says which file, and an id that comes twice never gets into a table."""
    (tmp_path / "features.db").write_bytes(b"no database at all, but long enough to be read" * 40)
    with pytest.raises(ArtefactError, match=r"features\.db.*train again"):
        FeatureTable(tmp_path / "features.db")
    with pytest.raises(sqlite3.IntegrityError):
        write_table(tmp_path / "new.db", [("a", {}), ("a", {})])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (None, "lacks the column customerID"),
        (["a", "", *"cdefghijklmnopqrstuvwxyz"], "column customerID, data row 2: nan is empty"),
        ([*"abcdefghijklmnopqrstuvwxya"], "column customerID, data row 26: 'a' comes twice"),
    ],
)
def test_bad_ids_are_reported(tmp_path: Path, ids: list[str] | None, message: str) -> None:
    """Every row needs an id of its own."""
    header = [*SCHEMA.names, "Churn", *([] if ids is None else ["customerID"])]
    lines = [",".join(header)]
    for number in range(26):
        row = [*map(str, EXAMPLE.values()), ("No", "Yes")[number % 2]]
        lines.append(",".join(row + ([] if ids is None else [ids[number]])))
    path = tmp_path / "c.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        read_file(CHURN, path)
