"""How often a run without drift has a decision: by default, and with one level for the run.

Draws whole runs as the testbed plays them (rows of the model's own traffic, windows as planned),
evaluates each window with the job's own parts, and counts decisions. Prints one JSON line per
model.

    python tests/bench/drift_level.py ARTEFACT... --runs 200 --study 20
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from testbed.driftplan import DriftPlan, drift_plan
from testbed.scenario import Scenario, read_scenario
from testbed_domain.artefact import Artefact, load_artefact
from testbed_drift.evaluation.decision import Policy, decide
from testbed_drift.evaluation.detection import Detector
from testbed_drift.quality.concept import evaluate
from testbed_drift.quality.estimation import Estimator
from testbed_drift.quality.outcomes import Outcomes
from testbed_drift.relations.models import OnnxModel
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare, kinds_of, reference_frame
from testbed_drift.scoring.levels import Levels
from testbed_drift.scoring.scores import DriftRule
from testbed_drift.scoring.statistics import numbers
from testbed_load.plan import LoadPhase, PhaseDrift
from testbed_load.traffic import load_source, phase_rows

if TYPE_CHECKING:
    from testbed_load.traffic import TrafficSource

RATE = 50.0
FACTOR = 30.0


class Evaluator:
    """The decisions of one model's windows."""

    def __init__(self, artefact: Artefact, level: float | None) -> None:
        levels = Levels.of(level)
        self.schema, self.kinds = artefact.schema, kinds_of(artefact.schema)
        rule = DriftRule(
            alpha=levels.columns,
            class_alpha=levels.prediction,
            target_alpha=levels.target,
            max_alpha=None if level is None else levels.columns,
        )
        self.levels = levels
        self.detector = Detector(self.kinds, rule)
        self.model = OnnxModel(artefact)
        self.reference = reference_frame(artefact, self.kinds)
        self.before = self.outcomes(self.reference)
        self.estimator = Estimator.learn(self.before)
        self.analyst = Analyst(self.kinds, lambda: OnnxModel(artefact), levels=levels)

    def outcomes(self, frame: pd.DataFrame) -> Outcomes:
        """Rows whose labels have all come, with what the model says of them."""
        classes = tuple(map(str, self.schema.classes))
        known = {name: index for index, name in enumerate(classes)}
        labels, reported = (
            np.array([known[str(value)] for value in frame[name]]) for name in (TARGET, PREDICTION)
        )
        positive = self.schema.positive_class
        return Outcomes(
            classes=classes,
            positive=None if positive is None else classes.index(str(positive)),
            predicted=reported,
            label=labels,
            probabilities=self.model.probabilities(self.model.coded(frame)),
            delay=np.zeros(len(frame)),
        )

    def decide(
        self, frame: pd.DataFrame, *, study: bool
    ) -> tuple[str, list[str], list[str], float]:
        """Decision, causes and drifted columns of a window, and its smallest p-value in limits."""
        scores = self.detector.detect(self.reference, frame).scores
        concept = evaluate(self.before, self.outcomes(frame), self.estimator, self.levels.concept)
        relations = self.analyst.study(self.reference, frame, scores) if study else None
        made = decide(scores, Policy(), concept, relations)
        tests = [
            one.test
            for column in (*scores.columns, scores.prediction, scores.target)
            for one in (column.comparisons if column else ())
        ]
        tests += [rise.against_reference.test for rise in concept.rises]
        tests += [one.test for _, one, _ in relations.comparisons()] if relations else []
        smallest = min((one.value / one.threshold for one in tests), default=1e9)
        causes = [str(cause) for cause in made.causes]
        return str(made.action), causes, list(scores.drifted_columns), smallest


# P-values of large samples: exact ones would be most of the cost and differ by a percent.
numbers.MAX_EXACT = 0  # type: ignore[misc] # a constant elsewhere


def run_rows(
    evaluator: Evaluator, source: TrafficSource, scenario: Scenario, seed: int
) -> pd.DataFrame:
    """All rows of a run, as the load sends them, with the model's predictions."""
    rows, labels = [], []
    for number, phase in enumerate(scenario.phases):
        drift = PhaseDrift(phase.drift.name, phase.drift.severity) if phase.drift else None
        planned = LoadPhase(phase.name, phase.duration / FACTOR, phase.rate, drift)
        stream = phase_rows(planned, source, seed, number)
        for _ in range(planned.planned(seed) or 0):
            row, label = next(stream)
            rows.append(row)
            labels.append(str(label))
    raw = pd.DataFrame(rows)
    raw[TARGET], raw[PREDICTION] = labels, "0"
    frame = declare(raw, evaluator.kinds)
    reported = evaluator.model.probabilities(evaluator.model.coded(frame)).argmax(axis=1)
    raw[PREDICTION] = [str(evaluator.schema.classes[place]) for place in reported]
    return declare(raw, evaluator.kinds)


def windows(plan: DriftPlan, rows: int) -> list[tuple[int, int]]:
    """First row and end of each window."""
    assert plan.rows is not None
    assert plan.every is not None
    ends = range(plan.every, rows + 1, plan.every)
    return [(max(0, end - plan.rows), end) for end in ends if end >= 200]


def measure(path: Path, scenario: Scenario, runs: int, studied: int, first: int) -> dict[str, Any]:
    """Decisions of seeded runs, with each test at its own level and with one for the run.

    ``smallest`` counts runs in which any p-value, effect or not, is within so many times its limit:
    under one level for the run at most 0.1 %, 1 % and 10 % of them should be.
    """
    artefact = load_artefact(path)
    source = load_source(path, artefact.use_case)
    plan = drift_plan(scenario, FACTOR, 200)
    evaluates = {"before": Evaluator(artefact, None), "after": Evaluator(artefact, plan.level)}
    found: dict[str, Any] = {"model": artefact.use_case, "windows": plan.windows, "runs": runs}
    for name in evaluates:
        found[name] = {"runs": 0, "windows": 0, "causes": {}, "columns": {}, "seeds": []}
        found[name]["smallest"] = {"1": 0, "10": 0, "100": 0}
    for seed in range(first, first + runs):
        frame = run_rows(evaluates["after"], source, scenario, seed)
        for name, one in evaluates.items():
            hit, minimum = False, 1e9
            for start, end in windows(plan, len(frame)):
                part = frame.iloc[start:end].reset_index(drop=True)
                action, causes, columns, small = one.decide(part, study=seed < first + studied)
                minimum = min(minimum, small)
                reported = found[name]
                for key, values in (("causes", causes), ("columns", columns)):
                    for value in values:
                        reported[key][value] = reported[key].get(value, 0) + 1
                reported["windows"] += action != "NO_ACTION"
                hit |= action != "NO_ACTION" or bool(columns)
            found[name]["runs"] += hit
            found[name]["seeds"] += [seed] * hit
            for times in found[name]["smallest"]:
                found[name]["smallest"][times] += minimum <= float(times)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artefacts", nargs="+", type=Path)
    parser.add_argument("--scenario", type=Path, default=Path("scenarios/error-burst.yaml"))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--study", type=int, default=0, help="runs whose relations are studied")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    arguments = parser.parse_args()
    scenario = read_scenario(arguments.scenario)
    for path in arguments.artefacts:
        began = time.process_time()
        found = measure(path, scenario, arguments.runs, arguments.study, arguments.first)
        found["scenario"] = scenario.name
        found["seconds"] = round(time.process_time() - began)
        print(json.dumps(found), flush=True)  # noqa: T201 - a command line's output


if __name__ == "__main__":
    main()
