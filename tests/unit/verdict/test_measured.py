"""Measured values: each way in which the API's numbers can be wrong is found, and named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed.charts import HTTP_COUNT
from testbed.checks.case import Case
from testbed.checks.measured import check_measured
from testbed.checks.stages import Stage
from testbed.evidence import Evidence, RunInfo
from testbed.facts.finalcounts import Count
from testbed.facts.measured import Measured, read_measured
from testbed.snapshot import Snapshot
from testbed_otel import names

from .measuredrun import INSTANCE, PHASES, START, Call, MeasuredRun, changed, make_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from testbed.checks.results import CheckResult
    from testbed.facts.sources import Sources

    Alter = Callable[[Call], Iterable[Call]]

CLASS, OUTCOME, STATUS = names.PREDICTION_CLASS, names.OUTCOME, names.HTTP_STATUS


def evaluate(
    sources: Sources,
    facts: Measured | None = None,
    api: dict[str, tuple[Count, ...] | None] | None = None,
) -> dict[str, CheckResult]:
    """The results by name."""
    facts = facts or read_measured(sources)
    again = Measured.model_validate_json(facts.model_dump_json())
    snapshot = Snapshot(
        started_at=START - 5,
        ended_at=START + 70,
        api=api or dict.fromkeys(sources.pages),
        prometheus={},
        measured=again,
    )
    evidence = Evidence(RunInfo(id="r", scenario="measured"), sources.truth, snapshot)
    return {check.name: check for check in check_measured(Case(sources.scenario, evidence, 1.0))}


def failed(results: dict[str, CheckResult]) -> dict[str, str]:
    """Name to summary of those that failed."""
    return {name: result.summary for name, result in results.items() if not result.passed}


def twice(metric: names.Metric) -> Alter:
    """Every measurement of a metric counts twice."""
    return lambda call: (call, call) if call.metric == metric else (call,)


def relabelled(metric: names.Metric, key: str, values: dict[str, str]) -> Alter:
    """Values of a label are others."""

    def alter(call: Call) -> Iterable[Call]:
        if call.metric == metric and call.labels.get(key) in values:
            labels = {**call.labels, key: values[call.labels[key]]}
            return (changed(call, labels=labels),)
        return (call,)

    return alter


def valued(metric: names.Metric, value: Callable[[float], float]) -> Alter:
    """Measurements of a metric have other values."""
    return lambda call: (
        (changed(call, value=value(call.value)),) if call.metric == metric else (call,)
    )


def test_a_true_api_passes(tmp_path: Path) -> None:
    """Everything was compared, and nothing is wrong."""
    facts = read_measured(MeasuredRun().sources(tmp_path))
    results = evaluate(MeasuredRun().sources(tmp_path / "again"), facts)
    assert failed(results) == {}
    assert all(result.applicable for result in results.values())
    assert len(facts.timing.bins) > 20
    assert len(facts.model_dump_json()) < 20_000


DEFECTS: dict[str, tuple[Alter, str]] = {
    "predictions counted twice": (twice(names.PREDICTIONS), "measured predictions"),
    "requests counted twice": (twice(names.HTTP_DURATION), "measured statuses"),
    "wrong version": (
        relabelled(names.PREDICTIONS, names.MODEL_VERSION, {"rf-1": "rf-0"}),
        "measured predictions",
    ),
    "classes swapped": (
        relabelled(names.PREDICTIONS, CLASS, {"0": "1", "1": "0"}),
        "measured predictions",
    ),
    "correct and wrong swapped": (
        relabelled(names.DECISIONS, OUTCOME, {"correct": "wrong", "wrong": "correct"}),
        "measured outcomes",
    ),
    "500 counted as 200": (
        relabelled(names.HTTP_DURATION, STATUS, {"500": "200"}),
        "measured statuses",
    ),
    "errors counted as validation": (
        relabelled(names.PREDICTION_ERRORS, names.ERROR_TYPE, {"injected": "validation"}),
        "measured errors",
    ),
    "injected errors counted as the model's": (
        relabelled(names.PREDICTION_ERRORS, names.ERROR_TYPE, {"injected": "model"}),
        "measured errors",
    ),
    "confidence inverted": (
        valued(names.PREDICTION_PROBABILITY, lambda value: 1 - value),
        "measured probabilities",
    ),
    "confidence a little off": (
        valued(names.PREDICTION_PROBABILITY, lambda value: value * 1.001),
        "measured probabilities",
    ),
    "latency constant": (
        valued(names.HTTP_DURATION, lambda _: 0.004),
        "measured latency",
    ),
    "latency 30 % too small": (
        valued(names.HTTP_DURATION, lambda value: 0.7 * value),
        "measured latency",
    ),
    "latency doubled": (
        valued(names.HTTP_DURATION, lambda value: 2 * value),
        "measured latency",
    ),
    "latency in milliseconds": (
        valued(names.HTTP_DURATION, lambda value: 1000 * value),
        "measured latency",
    ),
    "inferences not counted": (
        lambda call: (
            () if call.metric == names.MODEL_INFERENCE and call.time % 1 < 0.1 else (call,)
        ),
        "measured predictions",
    ),
    "inference longer than its request": (
        valued(names.MODEL_INFERENCE, lambda _: 0.1),
        "measured inference",
    ),
    "unknown error type": (
        lambda call: (
            (changed(call, labels={**call.labels, names.ERROR_TYPE: "mystery"}), call)
            if call.metric == names.HTTP_DURATION
            else (call,)
        ),
        "measured vocabulary",
    ),
    "a label of its own": (
        lambda call: (
            (changed(call, labels={**call.labels, "host": "a"}),)
            if call.metric == names.PREDICTIONS
            else (call,)
        ),
        "measured vocabulary",
    ),
    "other buckets": (
        lambda call: (
            (changed(call, metric=replace(call.metric, buckets=(0.5, 0.75, 1.0))),)
            if call.metric == names.PREDICTION_PROBABILITY
            else (call,)
        ),
        "measured vocabulary",
    ),
    "another type": (
        lambda call: (
            (changed(call, metric=replace(call.metric, kind="gauge")),)
            if call.metric == names.PREDICTION_ERRORS
            else (call,)
        ),
        "measured vocabulary",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.slow
def test_a_lying_instrument_is_found(tmp_path: Path, defect: str) -> None:
    """By the check that is about it, which blames the instrument."""
    alter, expected = DEFECTS[defect]
    results = evaluate(MeasuredRun().sources(tmp_path, alter))
    assert not results[expected].passed, results[expected].summary
    assert results[expected].stage is Stage.INSTRUMENT


def test_only_what_is_wrong_fails(tmp_path: Path) -> None:
    """A class that is counted twice says nothing of statuses or durations."""
    results = evaluate(MeasuredRun().sources(tmp_path, twice(names.PREDICTIONS)))
    assert failed(results) == {
        "measured predictions": (
            "predictions by version and class: the API counted otherwise than the load: "
            "ml_predictions_total{model_version=rf-1, prediction_class=0} 1950, the load saw 975; "
            "the phase calm 976 for 488; the phase late 942 for 471"
        )
    }


def test_what_evens_out_in_the_end_is_found_where_it_was_wrong(tmp_path: Path) -> None:
    """Predictions of the first phase that are counted in the second one."""

    def late(call: Call) -> Iterable[Call]:
        held = call.metric == names.PREDICTIONS and 10 < call.time - START < 20
        return (changed(call, time=START + 40) if held else call,)

    found = failed(evaluate(MeasuredRun().sources(tmp_path, late)))
    assert list(found) == ["measured predictions"]
    assert "in the phase" not in found["measured predictions"].split(";")[1]
    assert "the phase calm" in found["measured predictions"]


def test_a_slow_phase_bounds_durations_from_below(tmp_path: Path) -> None:
    """An injected latency is in each duration, whatever else is."""
    run = MeasuredRun(make_requests(injected=1.5), injected=1.5)
    assert failed(evaluate(run.sources(tmp_path / "true"))) == {}
    short = valued(names.HTTP_DURATION, lambda value: 0.7 * value)
    found = failed(evaluate(run.sources(tmp_path / "short", short)))
    assert "an injected latency alone makes" in found["measured latency"]
    short = valued(names.MODEL_INFERENCE, lambda value: 0.7 * value)
    found = failed(evaluate(run.sources(tmp_path / "inference", short)))
    assert list(found) == ["measured inference"]


def test_a_constant_in_one_phase_is_found(tmp_path: Path) -> None:
    """The other phase alone would make a scale that passes."""
    run = MeasuredRun()

    def stuck(call: Call) -> Iterable[Call]:
        late = call.metric == names.HTTP_DURATION and call.time > PHASES[1].start
        return (changed(call, value=0.004) if late else call,)

    found = failed(evaluate(run.sources(tmp_path, stuck)))
    assert list(found) == ["measured latency"]


def test_a_client_that_left_says_nothing_of_the_scale(tmp_path: Path) -> None:
    """Its duration bears its error, on the page and in Prometheus, and counts in neither."""

    def gone(call: Call) -> Iterable[Call]:
        if call.metric != names.HTTP_DURATION or call.labels[STATUS] != "200":
            return (call,)
        labels = {**call.labels, names.ERROR_TYPE: names.DISCONNECT}
        return (call, changed(call, labels=labels, value=1.0)) if call.time < START + 1 else (call,)

    assert read_measured(MeasuredRun().sources(tmp_path, gone)).timing.skipped == ""


def test_each_process_is_held_against_its_own_requests(tmp_path: Path) -> None:
    """Counts that change places between two replicas add up, and are wrong all the same."""
    run = MeasuredRun(instances=("api-1", "api-2"))
    assert failed(evaluate(run.sources(tmp_path / "true"))) == {}

    def swapped(call: Call) -> Iterable[Call]:
        if call.metric == names.PREDICTIONS and call.instance == "api-1":
            return (changed(call, instance="api-2"),)
        return (call,)

    found = failed(evaluate(run.sources(tmp_path / "swapped", swapped)))
    assert "api-1: ml_predictions_total" in found["measured predictions"]


def test_requests_without_an_answer_may_have_been_counted_or_not(tmp_path: Path) -> None:
    """They widen what is allowed by their number, and by no more."""
    run = MeasuredRun()
    truth = list(run.requests)
    lost = [r for r in truth if r.status == 200][:5]
    silent = {
        r.request_id: replace(
            r, status=None, error="timeout", prediction_id=None, prediction=None, probability=None
        )
        for r in lost
    }
    sources = run.sources(tmp_path)
    seen = tuple(silent.get(r.request_id, r) for r in truth)
    first, second = sources.truth.labels
    labels = (first, replace(second, seqs=second.seqs[:645]))
    sources = replace(sources, truth=replace(sources.truth, requests=seen, labels=labels))
    found = failed(evaluate(sources))
    assert set(found) <= {"measured outcomes"}  # their labels were posted all the same, here
    doubled = run.sources(tmp_path / "twice", twice(names.PREDICTIONS))
    doubled = replace(doubled, truth=sources.truth)
    assert "measured predictions" in failed(evaluate(doubled))


def test_a_process_that_ended_is_asked_of_prometheus(tmp_path: Path) -> None:
    """Its last export is as good as its page, unless it crashed."""
    run = MeasuredRun(instances=(INSTANCE, "api-2"), gone=("api-2",))
    assert failed(evaluate(run.sources(tmp_path / "true"))) == {}

    def less(call: Call) -> Iterable[Call]:
        return () if call.instance == "api-2" and call.time > START + 50 else (call,)

    sources = run.sources(tmp_path / "less", less)
    assert "measured predictions" in failed(evaluate(sources))
    with sources.layout.timeline.open("a") as file:
        file.write('{"time": 1050, "event": "replica_crashed", "name": "api-2"}\n')
    assert failed(evaluate(sources)) == {}


def test_an_answer_without_a_prediction_is_the_services_fault(tmp_path: Path) -> None:
    """200 and no class: neither load nor instrument did that."""
    run = MeasuredRun()
    run.requests[0] = replace(run.requests[0], prediction=None)
    result = evaluate(run.sources(tmp_path))["measured answers"]
    assert not result.passed
    assert result.stage is Stage.SERVICE
    assert result.details == ("r0",)


@pytest.mark.parametrize(("counted", "stage"), [(3, Stage.LOAD), (2, Stage.SERVICE)])
def test_failures_that_the_load_wrote_down_as_successes_are_its_own(
    tmp_path: Path, counted: int, stage: Stage
) -> None:
    """Where the service counted as many answers with 5xx more; else it is the service's fault."""
    run = MeasuredRun()
    run.requests[:3] = [replace(each, prediction=None) for each in run.requests[:3]]
    sources = run.sources(tmp_path)
    failures = sum(request.failed for request in run.requests)
    labels = {"http_route": "/predict", "http_response_status_code": "500"}
    count = Count(metric=HTTP_COUNT, labels=labels, value=failures + counted)
    result = evaluate(sources, api={INSTANCE: (count,)})["measured answers"]
    assert (result.passed, result.stage) == (False, stage)
    assert ("the load recorded 3 answers with 200" in result.summary) is (stage is Stage.LOAD)


def test_a_process_that_contradicts_itself_is_found(tmp_path: Path) -> None:
    """What nobody else sees is held against the rest."""
    sources = MeasuredRun().sources(tmp_path)
    facts = read_measured(sources).model_copy(update={"disagreements": ("a: x is wrong",)})
    result = evaluate(sources, facts)["measured consistency"]
    assert (result.passed, result.stage) == (False, Stage.INSTRUMENT)
    assert "a: x is wrong" in result.summary


@pytest.mark.parametrize(("rows", "found"), [(True, False), (False, True)])
def test_predictions_that_were_refused_and_written_all_the_same_may_count(
    tmp_path: Path, *, rows: bool, found: bool
) -> None:
    """Their time was up while the log took them, as it shows; others are counted too often."""
    sources = MeasuredRun().sources(tmp_path)
    requests = list(sources.truth.requests)
    for place in [n for n, each in enumerate(requests) if each.prediction is not None][:2]:
        changes: dict[str, Any] = {"status": 503, "prediction": None, "prediction_id": None}
        if not rows:
            changes["request_id"] = f"another-{place}"
        requests[place] = replace(requests[place], probability=None, **changes)
    truth = replace(sources.truth, requests=tuple(requests))
    wrong = failed(evaluate(replace(sources, truth=truth)))
    assert ({"measured predictions", "measured probabilities"} & set(wrong) != set()) is found


def test_labels_that_were_not_taken_may_count_or_not(tmp_path: Path) -> None:
    """The others must, and right and wrong are distinguished among them."""
    sources = MeasuredRun().sources(tmp_path / "true")
    first, second = sources.truth.labels
    truth = replace(sources.truth, labels=(first, replace(second, status=503)))
    assert failed(evaluate(replace(sources, truth=truth))) == {
        "measured statuses": (
            "answers by status: the API counted otherwise than the load: "
            "http_server_request_duration_seconds_count{http_request_method=POST, "
            "http_response_status_code=200, http_route=/labels} 2, the load saw 1; "
            "the phase late 2 for 1"
        )
    }
    swap = relabelled(names.DECISIONS, OUTCOME, {"correct": "wrong", "wrong": "correct"})
    swapped = MeasuredRun().sources(tmp_path / "swapped", swap)
    assert "measured outcomes" in failed(evaluate(replace(swapped, truth=truth)))


def test_labels_of_which_it_is_open_which_they_were_are_not_evaluated(tmp_path: Path) -> None:
    """The check says so, in place of passing."""
    sources = MeasuredRun().sources(tmp_path)
    truth = replace(sources.truth, labels=sources.truth.labels[:1])
    result = evaluate(replace(sources, truth=truth))["measured outcomes"]
    assert not result.applicable
    assert "not every label" in result.summary


def test_runs_of_earlier_versions_have_no_such_facts(tmp_path: Path) -> None:
    """And are evaluated by what they have."""
    assert evaluate(MeasuredRun().sources(tmp_path), Measured()) == {}
    assert PHASES[0].name == "calm"
