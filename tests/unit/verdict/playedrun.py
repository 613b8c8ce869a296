"""A run as the load, the service and the log would leave it, made in a moment and without them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from testbed.checks.case import Case
from testbed.checks.content import check_content
from testbed.checks.load import check_load
from testbed.evidence import Evidence, RunInfo
from testbed.facts.logcontent import read_logcontent
from testbed.facts.realised import read_realised
from testbed.facts.sources import RunSpan, Sources
from testbed.layout import RunLayout
from testbed.scenario import Scenario
from testbed.snapshot import Snapshot
from testbed.targets import BundledApi
from testbed.truth import PostedLabels, Request, Truth
from testbed_domain.encoding import decode, encode
from testbed_domain.logrows import PredictionRow
from testbed_domain.logstore import open_log
from testbed_domain.onnxsession import OnnxSession
from testbed_load.arrivals import Steady
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, PhaseDrift, write_plan
from testbed_load.traffic import load_source, plan_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.checks.results import CheckResult
    from testbed_domain.artefact import Artefact

START = 1_000_000.0
SEED = 3
INSTANCE = "api-1"
DELAY = 1.0


@dataclass
class PlayedRun:
    """Everything that a test may break before it asks for the checks.

    Attributes:
        layout: files of the run.
        artefact: of the model that it served.
        scenario: what was to be played; at time scale 1.
        plan: what the load was given.
        requests: the truth.
        batches: label batches of the truth.
        missed: requests that the load says it left unsent.
        rows: the prediction log.
        labels: of the log: prediction id, label, time.
    """

    layout: RunLayout
    artefact: Artefact
    scenario: dict[str, Any]
    plan: LoadPlan
    requests: list[Request] = field(default_factory=list)
    batches: list[PostedLabels] = field(default_factory=list)
    missed: int = 0
    rows: list[PredictionRow] = field(default_factory=list)
    labels: list[tuple[str, str, float]] = field(default_factory=list)

    def change_requests(self, change: Callable[[Request], Request], every: int = 1) -> None:
        """Change every n-th request of the truth."""
        for place in range(0, len(self.requests), every):
            self.requests[place] = change(self.requests[place])

    def change_rows(self, change: Callable[[PredictionRow], PredictionRow], every: int = 1) -> None:
        """Change every n-th row of the log."""
        for place in range(0, len(self.rows), every):
            self.rows[place] = change(self.rows[place])

    def send(self, plan: LoadPlan) -> None:
        """Send what a plan says, in place of all that was sent; the plan's file stays."""
        self.requests.clear()
        source = load_source(self.artefact.path, self.artefact.use_case)
        number, start = 0, START
        for phase, rows in zip(plan.phases, plan_rows(plan, source), strict=True):
            # Closed users are answered ten times a second here.
            times = phase.due_times(plan.seed) or Steady(10.0, round(phase.duration * 10))
            drifting = phase.drifting(plan.seed)
            for index, (features, label) in enumerate(islice(rows, times.count)):
                due = start + times.at(index)
                drift = phase.drift if drifting(index) else None
                self.requests.append(
                    Request(
                        request_id=f"run-1-{number}",
                        phase=phase.name,
                        scheduled_at=due,
                        sent_at=due + 0.001,
                        finished_at=due + 0.005,
                        status=200,
                        error=None,
                        prediction_id=f"p-{number}",
                        seq=number,
                        drift=drift.name if drift else None,
                        severity=drift.severity if drift else 0.0,
                        features=features,
                        label=label,
                    )
                )
                number += 1
            start += phase.duration

    def serve(self) -> None:
        """Let the service answer and log what was sent, and labels come."""
        schema = self.artefact.schema
        batch = encode(schema, [request.features for request in self.requests])
        scored = decode(schema, OnnxSession(self.artefact.model_file).outputs(batch))
        self.rows, self.labels, self.batches = [], [], []
        for place, (request, answer) in enumerate(zip(self.requests, scored, strict=True)):
            self.requests[place] = replace(
                request, prediction=answer.prediction, probability=answer.probability
            )
            self.rows.append(
                PredictionRow(
                    f"p-{request.seq}",
                    request.sent_at + 0.002,
                    request.request_id,
                    INSTANCE,
                    self.artefact.name,
                    self.artefact.version,
                    dict(request.features),
                    answer.text,
                    answer.probability or 0.0,
                    answer.probabilities,
                )
            )
        for first in range(0, len(self.requests), 20):
            batch_ = self.requests[first : first + 20]
            sent = batch_[-1].finished_at + DELAY + 0.01
            self.batches.append(PostedLabels(sent, 200, tuple(r.seq for r in batch_)))
            self.labels += [(f"p-{r.seq}", str(r.label), sent + 0.01) for r in batch_]

    def check(self) -> dict[str, CheckResult]:
        """Name to result of the checks of content and load."""
        layout = self.layout
        layout.prediction_log.unlink(missing_ok=True)
        url = f"sqlite:///{layout.prediction_log}"
        with open_log(url) as log:
            log.append(self.rows)
            log.append_labels(self.labels)
        end = START + 1000.0
        truth = Truth(START, end, tuple(self.requests), tuple(self.batches), missed=self.missed)
        scenario = Scenario.model_validate(self.scenario)
        sources = Sources(
            cast("Any", None), None, layout, scenario, 1.0, truth, BundledApi(),
            {INSTANCE: None}, url,
            RunSpan(START - 10, end, 1.0),
        )  # fmt: skip
        snapshot = Snapshot(
            evaluation_interval=0.5,
            started_at=START - 10,
            ended_at=end,
            api={},
            prometheus={},
            logcontent=read_logcontent(sources),
            realised=read_realised(sources),
        )
        kept = Snapshot.model_validate_json(snapshot.model_dump_json())
        evidence = Evidence(RunInfo(id="run-1", scenario="small"), truth, kept)
        case = Case(scenario, evidence, 1.0)
        results = (*check_content(case), *check_load(case))
        return {result.name: result for result in results}

    def failed(self) -> dict[str, str]:
        """Name to summary of those that fail."""
        return {name: each.summary for name, each in self.check().items() if not each.passed}


def played_run(
    root: Path, artefact: Artefact, drift: tuple[str, float] | None = None, requests: int = 600
) -> PlayedRun:
    """A run of two phases at 50 requests a second, the second one drifted, that passes."""
    layout = RunLayout(root).create()
    layout.model.symlink_to(artefact.path)
    seconds = requests / 2 / 50
    planned = None if drift is None else PhaseDrift(*drift)
    phases: list[dict[str, Any]] = [
        {"name": "first", "duration": seconds, "rate": 50.0},
        {"name": "second", "duration": seconds, "rate": 50.0},
    ]
    if drift is not None:
        phases[1]["drift"] = {"name": drift[0], "severity": drift[1]}
    plan = LoadPlan(
        run_id="run-1",
        seed=SEED,
        use_case=artefact.use_case,
        artefact=layout.model,
        phases=(
            LoadPhase("first", seconds, 50.0),
            LoadPhase("second", seconds, 50.0, planned),
        ),
        labels=LabelPlan(1.0, DELAY),
    )
    write_plan(layout.load_plan, plan)
    model = {"name": artefact.name, "version": artefact.version}
    about = {
        "id": "run-1",
        "scenario": "small",
        "seed": SEED,
        "export_interval": 0.5,
        "use_case": artefact.use_case,
    }
    layout.run_file.write_text(json.dumps({**about, "model": model}))
    scenario = {
        "name": "small", "title": "Small", "description": "Small.", "phases": phases,
        "labels": {"ratio": 1.0, "delay": DELAY},
    }  # fmt: skip
    run = PlayedRun(layout, artefact, scenario, plan)
    run.send(plan)
    run.serve()
    return run
