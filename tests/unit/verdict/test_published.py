"""What Prometheus holds of the drift job against what the job wrote down, by a real job."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.stats
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from testbed.checks.published import check_published
from testbed.checks.stages import Stage
from testbed.clients.prometheus import Series
from testbed.driftplan import DriftPlan, drift_plan
from testbed.facts import driftpoints
from testbed.facts.driftmatch import MatchStep, match
from testbed.facts.driftmoves import Move, Named
from testbed.facts.driftrules import Rules, faults, unplanned
from testbed.facts.driftwindows import Recomputed, RecomputedScore, smirnov, wasserstein
from testbed.facts.published import Published, compare
from testbed.scenario import Scenario
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logrows import Columns
from testbed_drift.evaluation.assessment import Assessor
from testbed_drift.evaluation.detection import Detector
from testbed_drift.evaluation.segmentdrift import SegmentScorer
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.publishing.gauges import Publisher
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.windows import WindowReader
from testbed_drift.scoring.scores import DriftRule
from testbed_drift.settings import DriftSettings
from testbed_drift.storage.reports import ReportStore
from testbed_otel import names

from .conftest import SCENARIO, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS: Any = {"size": "numeric", "age": "numeric", "colour": "category"}
SCHEMA = FeatureSchema(
    (
        Feature("size", "number", ""),
        Feature("age", "number", ""),
        Feature("colour", "category", ""),
    ),
    "y",
    ("0", "1"),
    "1",
)
VERSION = "m-1"
PROMETHEUS = {metric.name: metric.prometheus for metric in names.DRIFT_JOB_METRICS}


def _rows(rows: int, shift: float, seed: int, start: float | None) -> Columns:
    rng = np.random.default_rng(seed)
    size, age = rng.normal(shift, 1, rows), rng.normal(0, 1, rows)
    chance = 1 / (1 + np.exp(-size))
    times = [] if start is None else [start + place / rows for place in range(rows)]
    return Columns(
        {
            "size": size.tolist(),
            "age": age.tolist(),
            "colour": rng.choice(["red", "blue"], rows).tolist(),
        },
        [str(int(one > 0.5)) for one in chance],
        np.maximum(chance, 1 - chance).tolist(),
        [str(int(one)) for one in rng.random(rows) < chance],
        [f"{seed}-{place}" for place in range(rows)],
        times,
        [{"1": float(one), "0": float(1 - one)} for one in chance],
        [time + 0.5 for time in times],
    )


@dataclass
class Log:
    """A log whose newest window is whatever was put there."""

    current: Columns = field(default_factory=lambda: _rows(10, 0.0, 1, 0.0))

    def window(self, *_: object) -> Columns:
        """The newest rows."""
        return self.current

    def reference(self, _: str) -> Columns:
        """Rows of the training."""
        return _rows(600, 0.0, 2, None)


@dataclass
class Played:
    """Runs of a job, and what was exported meanwhile."""

    records: list[dict[str, Any]]
    series: list[Series]
    starts: list[float]

    def compared(self, change: Callable[[Series], Series | None] = lambda one: one) -> Any:  # noqa: ANN401 - a summary
        """Counts of differences, after a change of the series."""
        series = [found for one in self.series if (found := change(one))]
        return [
            (one.kind, driftpoints.text_of(one.key).split("{")[0])
            for one in compare(self.records, series, 0.3, self.starts).differences
        ]


class Process:
    """A process of the job, collected from at given times."""

    def __init__(self, folder: Path, log: Log, instance: str, clock: Callable[[], float]) -> None:
        self.instance = instance
        self.reader = InMemoryMetricReader()
        provider = MeterProvider([self.reader])
        reports = ReportStore(folder)
        publisher = Publisher(provider.get_meter("t"), VERSION, list(KINDS), reports)
        settings = DriftSettings(log_url="-", artefact=folder, html="never", segment="colour")
        self.job = DriftJob(
            settings,
            LogWindows(
                settings,
                WindowReader(VERSION, KINDS, 200, 5000),
                lambda: contextlib.nullcontext(log),
            ),
            Detector(KINDS),
            reports,
            publisher,
            clock,
            assessor=Assessor(SCHEMA, KINDS, "colour"),
            segments=SegmentScorer("colour", KINDS, DriftRule(), 50),
            analyst=Analyst(KINDS),
        )

    def collect(self, at: float) -> Iterator[tuple[Any, tuple[float, float]]]:
        """Labels and one point of each series."""
        data = self.reader.get_metrics_data()
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            for point in metric.data.data_points:
                assert isinstance(point, NumberDataPoint)
                labels = {
                    "__name__": PROMETHEUS[metric.name],
                    "job": "drift-job",
                    "instance": self.instance,
                    **{
                        names.label(key): str(value)
                        for key, value in (point.attributes or {}).items()
                    },
                }
                yield tuple(sorted(labels.items())), (at, float(point.value))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Too few rows, quiet, drifted; then another process, quiet again. Ten seconds apart."""
    folder = tmp_path_factory.mktemp("drift")
    now = [100.0]
    log = Log()
    points: dict[Any, list[tuple[float, float]]] = {}

    def collect(process: Process, times: tuple[float, ...]) -> None:
        for at in times:
            for labels, point in process.collect(at):
                points.setdefault(labels, []).append(point)

    process = Process(folder, log, "drift-1", lambda: now[0])
    windows = [log.current, _rows(400, 0.0, 3, 110.0), _rows(400, 2.0, 4, 120.0)]
    for number, window in enumerate(windows):
        now[0] = 100.0 + 10 * number
        log.current = window
        process.job.run_once()
        collect(process, tuple(now[0] + after for after in (0.5, 4.0, 8.0)))
    process = Process(folder, log, "drift-2", lambda: now[0])
    collect(process, (133.0,))
    now[0] = 140.0
    log.current = _rows(400, 0.0, 5, 140.0)
    process.job.run_once()
    collect(process, (140.5, 144.0))
    lines = (folder / "runs.jsonl").read_text().splitlines()
    series = [
        Series(dict(labels), tuple(found))
        for labels, found in points.items()
        if dict(labels)["__name__"] in driftpoints.COMPARED
    ]
    return Played([json.loads(line) for line in lines], series, [99.0, 131.0])


@pytest.mark.slow
def test_all_that_a_job_publishes_follows_from_its_records(played: Played) -> None:
    """Each series of each metric that is compared is found, and nothing else is."""
    assert [record["outcome"] for record in played.records] == [
        *("insufficient_data", "success", "success", "success")
    ]
    assert {record.get("decision") for record in played.records} == {None, "NO_ACTION", "RETRAIN"}
    assert played.compared() == []
    reported = {one.labels["__name__"] for one in played.series} & driftpoints.COMPARED
    assert driftpoints.COMPARED - reported == set()


def _named(series: Series, metric: Any, **labels: str) -> bool:  # noqa: ANN401 - a metric
    return (
        series.labels["__name__"] == metric.prometheus and labels.items() <= series.labels.items()
    )


def _constant(one: Series) -> Series:
    if not _named(one, names.DRIFT_RATIO):
        return one
    return replace(one, points=tuple((at, 0.0) for at, _ in one.points))


def _unpublished(one: Series) -> Series | None:
    return None if _named(one, names.DRIFT_COLUMN_SCORE) else one


def _misnamed(one: Series) -> Series:
    if not _named(one, names.DRIFT_COLUMN_DETECTED, column="age"):
        return one
    return replace(one, labels={**one.labels, "column": "length"})


def _swapped(one: Series) -> Series:
    if not _named(one, names.DRIFT_COLUMN_SCORE):
        return one
    other = {"size": "age", "age": "size"}.get(one.labels["column"], one.labels["column"])
    return replace(one, labels={**one.labels, "column": other})


def _doubled(one: Series) -> Series:
    if not _named(one, names.DRIFT_COLUMN_THRESHOLD):
        return one
    return replace(one, points=tuple((at, 2 * value) for at, value in one.points))


def _standing(one: Series) -> Series:
    if not _named(one, names.DRIFT_DECISION):
        return one
    return replace(one, points=tuple((at, one.points[0][1]) for at, _ in one.points))


def _counted_twice(one: Series) -> Series:
    if not _named(one, names.DRIFT_RUNS):
        return one
    return replace(one, points=tuple((at, 2 * value) for at, value in one.points))


@pytest.mark.parametrize(
    ("change", "kinds", "metric"),
    [
        (_constant, {"wrong"}, names.DRIFT_RATIO),
        (_unpublished, {"missing"}, names.DRIFT_COLUMN_SCORE),
        (_misnamed, {"missing", "unexpected"}, names.DRIFT_COLUMN_DETECTED),
        (_swapped, {"wrong"}, names.DRIFT_COLUMN_SCORE),
        (_doubled, {"wrong"}, names.DRIFT_COLUMN_THRESHOLD),
        (_standing, {"wrong"}, names.DRIFT_DECISION),
        (_counted_twice, {"wrong"}, names.DRIFT_RUNS),
    ],
)
def test_what_was_published_otherwise(
    played: Played,
    change: Callable[[Series], Series | None],
    kinds: set[str],
    metric: Any,  # noqa: ANN401 - a metric
) -> None:
    """A value, a name or a whole metric that is not what the job wrote down is found."""
    found = played.compared(change)
    assert {kind for kind, _ in found} == kinds
    assert {name for _, name in found} == {metric.prometheus}


def test_exports_that_were_lost_accuse_nobody(played: Played) -> None:
    """While the Collector was away nothing arrived, and then nothing is missing."""

    def away(one: Series) -> Series:
        return replace(one, points=tuple(p for p in one.points if not 110 < p[0] < 130))

    found = compare(played.records, [away(one) for one in played.series], 0.3, played.starts)
    assert (found.differences, found.unseen) == ([], 1)


def test_an_export_in_the_middle_of_a_publication(played: Played) -> None:
    """Instruments are read one after another: some may be a run ahead, none goes back."""
    step = next(one for one in played.series if _named(one, names.DRIFT_RATIO))
    early = (played.records[2]["time"] - 0.2, 1 / 3)

    def ahead(one: Series) -> Series:
        return replace(one, points=tuple(sorted((*one.points, early)))) if one is step else one

    assert played.compared(ahead) == []
    late = (played.records[2]["time"] + 6.0, 0.0)

    def back(one: Series) -> Series:
        return replace(one, points=tuple(sorted((*one.points, late)))) if one is step else one

    assert played.compared(back) == [("wrong", names.DRIFT_RATIO.prometheus)]


def test_rules_hold_for_what_the_job_writes(played: Played) -> None:
    """A real record follows from the documented rule."""
    assert list(faults(played.records, Rules())) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda r: r.update(drift_share=0.0), "the share says"),
        (lambda r: r.update(decision="NO_ACTION"), "the scores ask for RETRAIN"),
        (lambda r: r["causes"].remove("columns"), "the decision stands on"),
        (lambda r: r["columns"]["size"].update(drifted=False), "size is called not drifted"),
        (lambda r: r["columns"]["size"]["scores"][1].update(threshold=0.2), "it should be 0.1"),
        (lambda r: r["columns"]["size"]["scores"][0].update(exceeded=False), "not exceeded"),
        (
            lambda r: r["prediction_drift"]["scores"][0].update(threshold=0.005),
            "of the prediction is 0.005, it should be 0.001",
        ),
        (
            lambda r: r["relations"]["domain"]["scores"]["domain_auc"].update(threshold=0.75),
            "domain_auc is 0.75",
        ),
    ],
)
def test_a_job_that_obeys_other_rules(
    played: Played, change: Callable[[dict[str, Any]], None], text: str
) -> None:
    """Doubled limits, a constant share or a decision that its scores don't ask for is named."""
    record = json.loads(json.dumps(played.records[2]))
    change(record)
    found = [line for _, line in faults([record], Rules())]
    assert any(text in line for line in found), found


def test_a_level_for_the_run_lowers_every_limit() -> None:
    """No test keeps its own level, and their parts, two of them double, add up to it."""
    rules, tests = Rules(level=1e-4), ("columns", "prediction", "target", "concept")
    parts = {name: rules.test(name) or 0 for name in (*tests, "correlation", "domain", "label")}
    assert sum(parts.values()) + parts["columns"] + parts["concept"] == pytest.approx(1e-4)
    assert rules.column("x", 8) == pytest.approx(2.5e-6)
    assert Rules(level=1e-4, alphas={"x": 1e-7}).column("x", 8) == 1e-7


def _scenario(**changes: Any) -> Scenario:  # noqa: ANN401 - fields
    return Scenario.model_validate({**SCENARIO, **changes})


def test_windows_of_a_scenario() -> None:
    """Windows are cut by rows, and the run's level is shared out among all that can be full."""
    plan = drift_plan(_scenario(), 30.0, 200)  # 25 minutes of ten a second, 30 times as fast
    assert plan == DriftPlan(6, 300, 80, 3.0)
    assert plan.level == pytest.approx(0.001 / 6)
    calm = {"phases": [{"name": "a", "duration": "30m", "rate": 1}], "expected_alerts": []}
    slow = drift_plan(_scenario(**calm), 30.0, 200)
    assert (slow.windows, slow.rows, slow.every) == (1, 200, 50)
    users = calm | {"phases": [{"name": "a", "duration": "25m", "users": 3}]}
    assert drift_plan(_scenario(**users), 30.0, 200).rows is None  # nobody knows how many come
    late = drift_plan(_scenario(labels={"delay": "1h"}), 30.0, 200)
    assert (late.windows, late.rows, late.every) == (9, None, None)


def test_windows_that_hold_other_rows_than_planned(played: Played) -> None:
    """The same seed evaluates the same rows only in windows of the planned size."""
    assert list(unplanned(played.records, DriftPlan(3, 400, 200, 1.0))) == []
    assert [run for run, _ in unplanned(played.records, DriftPlan(3, 300, 150, 1.0))] == [1, 2, 3]


def facts_of(**changes: Any) -> Published:  # noqa: ANN401 - fields
    """Facts of a sound run, with changes."""
    score = RecomputedScore(column="size", method="wasserstein", recorded=0.5, computed=0.5)
    window = Recomputed(
        run=0,
        evaluated=400,
        logged=400,
        settled=390,
        reference=600,
        registered=600,
        scores=(score,),
    )
    return Published(
        **{
            "runs": 1,
            "exports": 9,
            "compared": 100,
            "level": 0.001,
            "planned": 5,
            "windows": (window,),
            "named": (Named(run=0, start=1011.0, end=1029.0, rows=400, columns=("size",)),),
            "moves": (
                Move(phase="normal", column="size", numeric=True, effect=0.04, rows=400),
                Move(phase="burst", column="size", numeric=True, effect=0.9, rows=800),
                Move(phase="burst", column="age", numeric=True, effect=0.04, rows=800),
            ),
            **changes,
        }
    )


def failed_checks(world: World, facts: Published, **scenario: Any) -> dict[str, str]:  # noqa: ANN401 - fields
    """Name to summary of the checks that fail."""
    world.scenario.update(scenario)
    evidence = world.evidence()
    snapshot = evidence.snapshot.model_copy(update={"published": facts})
    case = replace(world.case(), evidence=replace(evidence, snapshot=snapshot))
    return {one.name: one.summary for one in check_published(case) if not one.passed}


def test_sound_facts_pass(world: World) -> None:
    """Nothing is claimed of a run in which all agrees."""
    assert failed_checks(world, facts_of()) == {}


def test_rows_and_scores_that_the_log_does_not_bear_out(world: World) -> None:
    """A job that evaluates other rows, or computes something else, is the culprit."""
    window = facts_of().windows[0]
    for change in ({"evaluated": 300}, {"evaluated": 401}, {"reference": 599}):
        found = failed_checks(world, facts_of(windows=(window.model_copy(update=change),)))
        assert list(found) == ["drift windows"]
    wrong = window.scores[0].model_copy(update={"recorded": 0.25})
    found = failed_checks(
        world, facts_of(windows=(window.model_copy(update={"scores": (wrong,)}),))
    )
    assert "wasserstein of size is 0.5 by the log's rows" in found["drift windows"]


def test_windows_that_do_not_go_on(world: World) -> None:
    """They end at steps, and the last one near the end of the log; rows that were late excuse."""
    window = facts_of().windows[0]
    for place, total, reported in (
        (400, 700, None),
        (404, 700, None),
        (440, 700, "windows end at multiples of 100"),
        (400, 1700, "ends at row 400, the log holds 1700"),
    ):
        change = {"place": place, "total": total}
        found = failed_checks(
            world, facts_of(every=100, windows=(window.model_copy(update=change),))
        )
        assert (reported or "") in found.get("drift windows", "")
        assert bool(found) == bool(reported)


def test_a_job_that_the_scenario_stopped_may_be_behind(world: World) -> None:
    """It has windows to make up for; one that was not stopped has none."""
    window = facts_of().windows[0].model_copy(update={"place": 400, "total": 1700})
    facts = facts_of(every=100, windows=(window,))
    faults = world.scenario["phases"][1]["faults"]
    for part, wrong in (("collector", True), ("drift", False)):
        stop = {"kind": "restart", "component": part, "down": 60}
        world.scenario["phases"][1]["faults"] = [*faults, stop]
        assert ("drift windows" in failed_checks(world, facts)) == wrong


def test_columns_are_those_that_the_load_moved(world: World) -> None:
    """A column that moved clearly must be named, one that did not must not."""
    run = facts_of().named[0]
    silent = failed_checks(world, facts_of(named=(run.model_copy(update={"columns": ()}),)))
    assert "the load moved size by 0.90 in burst" in silent["drift columns"]
    both = run.model_copy(update={"columns": ("size", "age")})
    invented = failed_checks(world, facts_of(named=(both,)))
    assert "names age, which the load moved by 0.04 at most" in invented["drift columns"]


def test_a_window_across_phases_need_not_show_what_one_moved(world: World) -> None:
    """Diluted by other rows a column may stay below the limit."""
    across = Named(run=0, start=1001.0, end=1012.0, rows=400, columns=())
    assert failed_checks(world, facts_of(named=(across,))) == {}


def test_columns_that_the_scenario_expects(world: World) -> None:
    """They go before what the load's rows say."""
    found = failed_checks(world, facts_of(), expected_columns=["age"])
    assert "it never names age" in found["drift columns"]
    assert "does not expect size" in found["drift columns"]


def test_nothing_arrived(world: World) -> None:
    """Without any export of the job the scores are not the culprit."""
    facts = facts_of(exports=0)
    evidence = world.evidence()
    snapshot = evidence.snapshot.model_copy(update={"published": facts})
    case = replace(world.case(), evidence=replace(evidence, snapshot=snapshot))
    first = check_published(case)[0]
    assert (first.passed, first.stage) == (False, Stage.EXPORT)


@pytest.mark.parametrize(("shift", "rows"), [(0.0, 400), (0.1, 1500), (0.6, 200), (3.0, 1500)])
def test_the_scores_are_those_of_scipy(shift: float, rows: int) -> None:
    """Computed without it, which takes seconds to import."""
    rng = np.random.default_rng(7)
    before, now = rng.normal(size=5000).round(2), rng.normal(shift, 1, rows).round(2)
    distance = scipy.stats.wasserstein_distance(before, now) / before.std()
    assert wasserstein(before, now) == pytest.approx(distance)
    p_value = float(scipy.stats.ks_2samp(before, now).pvalue)
    score = RecomputedScore(
        column="a", method="ks", recorded=p_value, computed=smirnov(before, now)
    )
    assert score.apart < 0.5


def test_a_process_that_ended_before_its_first_run_accuses_nobody() -> None:
    """It counts its columns from 0, and no record is its own."""
    record = {
        "time": 1010.0,
        "started": 1009.9,
        "outcome": "insufficient_data",
        "seconds": 0.1,
        "model_version": "v1",
        "message": "20 of 400 rows",
    }
    labels = {
        "__name__": names.DRIFT_DETECTIONS.prometheus,
        "instance": "drift-2",
        "model_version": "v1",
        "column": "Age",
    }
    series = [Series(labels, tuple((1021.0 + n, 0.0) for n in range(20)))]
    found = compare([record], series, 0.3, (999.0, 1020.0)).differences
    assert not [one for one in found if one.key[0] == names.DRIFT_DETECTIONS.prometheus]


@pytest.mark.parametrize(("runs", "found"), [(3, ["missing"]), (1, [])])
def test_a_series_that_no_export_holds_while_runs_follow_closely(
    runs: int, found: list[str]
) -> None:
    """Where no single run had time to be exported, a series that several knew is missing still."""
    key = driftpoints.key_of(names.DRIFT_COLUMN_SCORE, {names.COLUMN: "size"})
    ratio = driftpoints.key_of(names.DRIFT_RATIO, {})
    ends = [100.0 + 2 * run for run in range(runs)]
    steps = [MatchStep(float("-inf"), 99.0, {})]
    steps += [MatchStep(end, end + 0.1, {key: end, ratio: end}) for end in ends]
    exports = [98.5, *(end + after for end in ends for after in (0.5, 1.0, 1.5))]
    samples = {ratio: [(at, 100 + 2 * ((at - 100) // 2)) for at in exports[1:]]}
    differences = match(steps, samples, exports).differences
    assert sorted({one.kind for one in differences}) == found
    assert {one.key for one in differences} <= {key}
