"""The API with a champion, as callers, operators and a training ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.support.jsonlines import whole_lines
from tests.support.typedpage import variables_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed_domain.features import Row

    from tests.support.apiprocess import ApiProcess

ON_RETRAIN = "TESTBED_DRIFT_ON_RETRAIN"
SHIFTED = ("Glucose", "BloodPressure", "SkinThickness", "BMI")


class Service:
    """The running API, asked as callers and operators do."""

    def __init__(self, api: ApiProcess) -> None:
        self._public = httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=60)
        self._management = httpx.Client(
            base_url=f"http://127.0.0.1:{api.management_port}", timeout=60
        )
        self.management = f"http://127.0.0.1:{api.management_port}"
        self.token_file = api.token_file

    def close(self) -> None:
        """Close the connections."""
        self._public.close()
        self._management.close()

    def roles(self) -> dict[str, str]:
        """Role to version."""
        found = self._management.get("/models").raise_for_status().json()
        return {model["role"]: model["version"] for model in found["versions"]}

    def predict(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Answers to rows."""
        return [self._public.post("/predict", json=row).raise_for_status().json() for row in rows]

    def label(self, answers: Sequence[dict[str, Any]], labels: Sequence[object]) -> None:
        """Labels of predictions."""
        items = [
            {"prediction_id": answer["prediction_id"], "label": label}
            for answer, label in zip(answers, labels, strict=True)
        ]
        self._public.post("/labels", json={"labels": items}).raise_for_status()

    @property
    def job_options(self) -> tuple[str, ...]:
        """What a drift job needs to know so that it can train a challenger and register it."""
        return (
            f"--on-retrain={variables_in('how-to/retrain.md', 'testbed up')[ON_RETRAIN]}",
            f"--management-urls={self.management}",
            f"--management-token-file={self.token_file}",
        )


def last_retraining(output: Path) -> dict[str, Any]:
    """The last line of what a job wrote about its trainings; empty where there is none."""
    lines = whole_lines(output / "retraining.jsonl")
    return lines[-1] if lines else {}


def shifted(rows: Sequence[Row]) -> list[Row]:
    """Rows of another population than that of diabetes, all within what the API takes."""
    return [
        row
        | {name: round(float(row[name] or 0) * 1.25 + 5, 1) for name in SHIFTED}
        | {"Age": min(100, int(float(row["Age"] or 0)) + 15)}
        for row in rows
    ]
