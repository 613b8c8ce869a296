"""Runs of the job as a project of an Evidently workspace, with a dashboard of their scores.

Every run is one small snapshot of single values (:class:`RunScore`, in Evidently's own form of a
custom metric); a run that renders Evidently's report adds that one too. Evidently says what is in
a file (``Snapshot.dumps``) but writes it in place, and its UI does not start where one of them is
half a file: so they are put into their place here, whole.
"""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from testbed_domain.files import naming
from testbed_otel import names

from testbed_drift.evaluation.decision import Action
from testbed_drift.rendering.library import (
    DataDefinition,
    Dataset,
    Report,
    SingleValueCalculation,
    SingleValueMetric,
)
from testbed_drift.rendering.uilibrary import (
    PanelMetric,
    ProjectModel,
    Workspace,
    bar_plot_panel,
    line_plot_panel,
    uuid6,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_drift.evaluation.results import RunFinding, RunResult

    Value = tuple[str, str, float]

# Of the ids of projects: the same name is the same project, whichever process makes it.
NAMESPACE: Final = uuid.UUID("0d2c7a52-6c0f-4ad4-9c0e-2f5f0f0b6a11")
SNAPSHOTS: Final = "snapshots"
RUN_TAG, REPORT_TAG = "run", "report"
SHOWN: Final = {
    names.DRIFT_RATIO_THRESHOLD: "alert_share",
    names.DRIFT_RATIO: "drift_share",
    names.LABEL_COVERAGE: "label_coverage",
}
PANELS: Final = (
    ("Share of drifted columns", ("drift_share", "alert_share")),
    ("Accuracy", ("accuracy",)),
    ("Effect size by column", ("column_effect",)),
    ("Labels that have come", ("label_coverage",)),
)


class RunScore(SingleValueMetric):  # type: ignore[misc]
    """One number of a run: what it is, and of what."""

    score: str
    subject: str = ""


class RunScoreCalculation(SingleValueCalculation[RunScore]):  # type: ignore[misc]
    """Reads it off the row that holds all numbers of the run."""

    def calculate(self, _context: object, current_data: Any, _reference: object) -> Any:  # noqa: ANN401 - Evidently is untyped
        """The number."""
        column = current_data.column(_column(self.metric.score, self.metric.subject))
        return self.result(float(column.data.iloc[0]))

    def display_name(self) -> str:
        """The words above it."""
        return " ".join([self.metric.score.replace("_", " "), self.metric.subject]).strip()


class History:
    """The project of one model.

    Args:
        path: the workspace; made where it is missing.
        name: of the project.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._workspace = Workspace.create(str(path))
        self._id = uuid.uuid5(NAMESPACE, name)
        self._folder = path / str(self._id) / SNAPSHOTS
        if self._workspace.get_project(self._id) is None:
            self._found(name)
        for half in self._folder.glob(".*.new"):
            half.unlink(missing_ok=True)

    def add(self, result: RunResult) -> None:
        """Add a run that found something.

        Raises:
            OSError: the workspace can't be written to.
        """
        found = result.finding
        if found is None:
            return
        time = datetime.fromtimestamp(result.ended, UTC).replace(tzinfo=None)
        values = [*run_values(result, found)]
        frame = pd.DataFrame({_column(score, of): [value] for score, of, value in values})
        definition = DataDefinition(numerical_columns=list(frame))
        metadata = {"model_version": result.model_version, "decision": str(found.decision.action)}
        report = Report([RunScore(score=score, subject=of) for score, of, _ in values])
        snapshot = report.run(
            Dataset.from_pandas(frame, data_definition=definition),
            timestamp=time,
            metadata=metadata | {"reasons": "; ".join(found.decision.reasons)},
            tags=[RUN_TAG],
        )
        self._write(snapshot.dumps())
        if found.snapshot is not None:
            report = {"timestamp": time.isoformat(), "metadata": metadata, "tags": [REPORT_TAG]}
            self._write(json.dumps(json.loads(found.snapshot.dumps()) | report))

    def snapshots(self) -> list[Path]:
        """Files of the runs."""
        return list(self._folder.glob("*.json"))

    def _found(self, name: str) -> None:
        model = ProjectModel(id=self._id, name=name, description="Runs of the drift job")
        dashboard = self._workspace.add_project(model).dashboard
        for title, scores in PANELS:
            dashboard.add_panel(
                line_plot_panel(title=title, values=[_panel_metric(score) for score in scores])
            )
        levels = ", ".join(f"{number} {action}" for number, action in enumerate(Action))
        dashboard.add_panel(
            bar_plot_panel(title=f"Decision ({levels})", values=[_panel_metric("decision")])
        )
        self._folder.mkdir(parents=True, exist_ok=True)

    def _write(self, snapshot: str) -> None:
        path = self._folder / f"{uuid6.uuid7()}.json"
        half = path.with_name(f".{path.name}.new")
        try:
            with naming(path):
                half.write_text(snapshot, encoding="utf-8")
                os.link(half, path)  # and not moved there: the UI watches for files that are made
        finally:
            half.unlink(missing_ok=True)


def run_values(result: RunResult, found: RunFinding) -> Iterator[Value]:
    """The numbers of a run: score, of what, value."""
    for metric, value, attributes in result.points():
        if metric in SHOWN:
            yield SHOWN[metric], "", value
        elif metric is names.PERFORMANCE_SCORE and attributes[names.SCORE] == "accuracy":
            yield "accuracy", attributes[names.BASIS], value
    yield "decision", "", float(list(Action).index(found.decision.action))
    scores = found.scores
    for column in (*scores.columns, scores.prediction, scores.target):
        if column is not None and column.leading is not None:
            yield "column_effect", column.column, column.leading.value


def _panel_metric(score: str) -> Any:  # noqa: ANN401 - Evidently is untyped
    legend = "{{subject}}" if score in {"accuracy", "column_effect"} else score.replace("_", " ")
    return PanelMetric(
        metric="RunScore", metric_labels={"score": score}, legend=legend, tags=[RUN_TAG]
    )


def _column(score: str, subject: str) -> str:
    return f"{score} {subject}"
