"""Every use case as a process: trained, served, asked as its clients ask, and labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_domain.featuretable import FeatureTable
from testbed_domain.inference import infer_use_case
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact

    from tests.support.datafiles import DataFile

SMALL = TrainingOptions(10, 6, train_rows=800, test_rows=300, reference_rows=300)


def _example(artefact: Artefact) -> dict[str, Any]:
    return {feature.name: feature.example for feature in artefact.schema.features}


@pytest.mark.parametrize("name", ["titanic", "churn", "iris", "any"])
@pytest.mark.parametrize("titanic_file", ["own"], indirect=True)
def test_predicts_and_counts_what_decisions_cost(
    name: str,
    titanic_file: DataFile,
    tmp_path: Path,
    start_api: Callable[..., Any],
) -> None:
    """The example is answered with a class of the use case, and each label is worth its cost."""
    data = titanic_file.path if name == "any" else None
    use_case = infer_use_case(data, "Survived")[0] if data else get_use_case(name)
    artefact = train(use_case, data, 1, tmp_path / "model", SMALL)
    api = start_api(artefact.path, log_url=f"sqlite:///{tmp_path}/log.db")
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=30) as client:
        reply = client.post("/predict", json=_example(artefact)).raise_for_status().json()
        assert reply["prediction"] in artefact.schema.classes
        assert reply["model_version"] == artefact.version
        labels = [{"prediction_id": reply["prediction_id"], "label": label}
                  for label in artefact.schema.classes if label != reply["prediction"]]  # fmt: skip
        client.post("/labels", json=labels[0]).raise_for_status()
        page = client.get("/metrics").text
        for kpi in artefact.schema.kpis:
            costs = {pair[:2]: pair[2] for pair in kpi.costs}
            cost = costs.get((reply["prediction"], labels[0]["label"]), 0.0)
            lines = [line for line in page.splitlines() if f'kpi="{kpi.name}"' in line]
            assert [float(line.split()[-1]) for line in lines] == [cost]


def test_customers_by_id(
    churn_file: DataFile, tmp_path: Path, start_api: Callable[..., Any]
) -> None:
    """The documented request is answered as its features are; an unknown id is not found."""
    artefact = train(get_use_case("churn"), churn_file.path, 1, tmp_path / "model", SMALL)
    api = start_api(artefact.path)
    table = FeatureTable.of(artefact)
    assert table is not None
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=30) as client:
        for identifier in (churn_file.key, *(one for one, _ in table.rows()[:20])):
            by_id = client.post("/predict", json={"user_id": identifier}).raise_for_status().json()
            by_row = client.post("/predict", json=table.get(identifier)).raise_for_status().json()
            assert by_id.pop("prediction_id") != by_row.pop("prediction_id")
            assert by_id == by_row
            assert by_id["churn"] in {"Yes", "No"}
            assert 0 <= by_id["churn_probability"] <= 1
        missing = client.post("/predict", json={"user_id": "0000-NOONE"})
        assert missing.status_code == 404
        assert "7043 known ids" in missing.json()["detail"]
