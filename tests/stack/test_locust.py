"""Real Locust processes against a small real service on the loopback."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from testbed_load.arguments import SHOWN
from testbed_load.command import locust_command, output_options, web_command
from testbed_load.plan import LabelPlan, LoadPhase, PhaseDrift, write_plan
from testbed_load.profiles import profile

from tests.browser import visit
from tests.support.loads import (
    DEADLINE,
    Play,
    Start,
    Truth,
    fetch,
    plan_of,
    running,
)
from tests.support.polling import PATIENCE, answers, wait_for
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_burst_sends_exactly_its_requests_and_their_labels(
    serve: Start, play: Play, tmp_path: Path
) -> None:
    """Truth, server, summary and Locust's own files agree on each of 100 requests."""
    service = serve()
    files = output_options(tmp_path / "own" / "load", tmp_path / "own" / "load.html")
    plan = profile("burst", seed=1, use_case="diabetes", requests=100)
    load = play(plan, f"{service.url}/", *files)
    output = load.end()
    with (tmp_path / "own" / "load_stats.csv").open() as lines_of:
        rows = {row["Name"]: row["Request Count"] for row in csv.DictReader(lines_of)}
    assert rows["/predict"] == "100"
    assert "/predict" in (tmp_path / "own" / "load.html").read_text()
    lines, seen = load.truth.lines(), service.seen()
    assert sorted(line["request_id"] for line in lines) == sorted(seen["request_ids"])
    assert [line["seq"] for line in sorted(lines, key=lambda line: line["seq"])] == [*range(100)]
    assert seen["labels"] == {line["prediction_id"]: line["label"] for line in lines}
    assert sum(len(batch["seqs"]) for batch in load.truth.lines("labels")) == 100
    end = load.truth.json("end")
    assert (end["requests"], end["labels"], end["missed"]) == (100, 100, 0)
    assert re.search(r"sent +100\nanswered +200: 100\nlatency +p50 [\d.]+ ms", output)


def test_a_stall_shows_in_every_request_that_was_due_meanwhile(serve: Start, play: Play) -> None:
    """The p99 is no less than the due times give, within 5 %, though five users only wait.

    Counted from when they were sent, five requests of 500 would be slow, and the p99 of the others.
    """
    service = serve()
    load = play(plan_of(LoadPhase("p", 5.0, 100.0, users=5)), service.url)
    wait_for(lambda: len(load.truth.lines()) >= 100, DEADLINE, "the load runs")
    stalled = json.loads(fetch(f"{service.url}/stall?seconds=1", {}))
    output = load.end()
    lines = load.truth.lines()
    due = [line["scheduled_at"] for line in lines]
    waited = [stalled["end"] - at if stalled["begin"] <= at <= stalled["end"] else 0 for at in due]
    reported = re.search(r"p99 ([\d.]+) ms", output)
    assert reported is not None
    computed = float(np.percentile(waited, 99))
    # The machine may stand still, too, which is no fault of the load: it has to say so.
    measured = [line["finished_at"] - line["scheduled_at"] for line in lines]
    assert float(reported[1]) / 1000 == pytest.approx(float(np.percentile(measured, 99)), rel=0.05)
    assert float(reported[1]) / 1000 >= 0.95 * computed > 0
    assert len(lines) + load.truth.json("end")["missed"] == 500


def test_closed_users_wait_for_their_answers_and_think(serve: Start, play: Play) -> None:
    """Never more in flight than users, and none sends sooner than it has thought."""
    service = serve(0.02)
    load = play(plan_of(LoadPhase("p", 2.0, None, users=4, wait=0.1)), service.url)
    load.end()
    lines = load.truth.lines()
    assert service.seen()["max_active"] <= 4
    assert 4 < len(lines) <= 4 * 2.0 / 0.12 + 4
    assert all(line["sent_at"] >= line["scheduled_at"] - 0.05 for line in lines)


def test_the_key_of_a_file_is_sent_with_predictions_and_labels(
    serve: Start, play: Play, tmp_path: Path
) -> None:
    """With each of them."""
    (tmp_path / "key").write_text("tbk_abc\n")
    service = serve()
    plan = profile("burst", seed=1, use_case="diabetes", requests=20)
    play(plan, service.url, "--key-file", str(tmp_path / "key")).end()
    keys = service.seen()["keys"]
    assert set(keys) == {"/predict tbk_abc", "/labels tbk_abc"}
    assert keys["/predict tbk_abc"] == 20


def test_phases_change_exactly_at_their_time(serve: Start, play: Play) -> None:
    """Every request is due at start + phase + k / rate, and carries its phase's drift."""
    service = serve()
    drift = PhaseDrift("covariate_shift", 0.5)
    load = play(
        plan_of(LoadPhase("normal", 1.0, 20.0), LoadPhase("drifted", 1.0, 30.0, drift)), service.url
    )
    load.end()
    start = load.truth.json("start")["time"]
    lines = sorted(load.truth.lines(), key=lambda line: line["seq"])
    due = [k / 20 for k in range(20)] + [1 + k / 30 for k in range(30)]
    wanted = [due[line["seq"]] for line in lines]
    assert [line["scheduled_at"] - start for line in lines] == pytest.approx(wanted, abs=1e-4)
    phases = ["normal"] * 20 + ["drifted"] * 30
    assert [line["phase"] for line in lines] == [phases[line["seq"]] for line in lines]
    # A machine that stands still until a phase is over misses what was due in it.
    assert len(lines) + load.truth.json("end")["missed"] == 50
    assert {(line["phase"], line["drift"], line["severity"]) for line in lines} == {
        ("normal", None, 0.0), ("drifted", "covariate_shift", 0.5),
    }  # fmt: skip
    assert all(line["sent_at"] > line["scheduled_at"] - 0.05 for line in lines)
    assert load.truth.json("end")["time"] >= start + 2.0


def test_equal_seeds_send_equal_requests(serve: Start, play: Play) -> None:
    """Whatever user sends it, request k has the same row and the same true label."""
    service = serve()
    plan = plan_of(LoadPhase("p", 1.0, None, PhaseDrift("scale"), requests=60, users=7))
    loads = [play(plan, service.url), play(replace(plan, run_id="again"), service.url)]
    sent = []
    for load in loads:
        load.end()
        lines = sorted(load.truth.lines(), key=lambda line: line["seq"])
        sent.append([(line["seq"], line["features"], line["label"]) for line in lines])
    assert sent[0] == sent[1]


def test_a_slow_service_piles_up_requests_but_not_without_end(serve: Start, play: Play) -> None:
    """With one second of latency at 40 per second far more than 10 are active at once."""
    service = serve(latency=1.0)
    plan = plan_of(LoadPhase("slow", 3.0, 40.0), timeout=60.0)
    load = play(plan, service.url)
    load.end()
    assert 10 < service.seen()["max_active"] <= plan.users
    assert load.truth.outcomes == {"200": 120 - load.truth.json("end")["missed"]}


def test_overload_shows_as_lateness_and_missed_requests(serve: Start, play: Play) -> None:
    """Two users can't keep a rate that needs twenty; nothing hides that."""
    service = serve(latency=0.2)
    load = play(plan_of(LoadPhase("p", 2.0, 100.0, users=2)), service.url)
    load.end()
    lines, end = load.truth.lines(), load.truth.json("end")
    assert max(line["sent_at"] - line["scheduled_at"] for line in lines) > 0.5
    assert end["requests"] + end["missed"] == 200
    assert end["requests"] == len(lines) == len(service.seen()["request_ids"])


def test_failed_answers_are_truth_and_no_reason_to_fail(serve: Start, play: Play) -> None:
    """Every fifth answer is an error; labels come for the others only."""
    service = serve(fail_every=5)
    load = play(plan_of(LoadPhase("p", 1.0, None, requests=50, users=1)), service.url)
    load.end()
    assert load.truth.outcomes == {"200": 40, "500": 10}
    assert len(service.seen()["labels"]) == 40


def test_a_service_that_hangs_is_timed_out(serve: Start, play: Play) -> None:
    """Each request has its line, and the load still ends."""
    service = serve(latency=600.0)
    load = play(plan_of(LoadPhase("p", 1.0, 10.0), timeout=0.5), service.url)
    load.end()
    assert load.truth.outcomes == {"timeout": 10}
    # A busy service reads a request when its client has given up already.
    wait_for(lambda: len(service.seen()["request_ids"]) == 10, what="not all requests arrive")


def test_a_service_that_goes_away_leaves_connection_errors(serve: Start, play: Play) -> None:
    """Requests before, at and after its end have one line each."""
    service = serve()
    load = play(plan_of(LoadPhase("p", 10.0, 50.0), timeout=60.0), service.url)
    wait_for(lambda: len(load.truth.lines()) >= 20, DEADLINE, "the load runs")
    service.process.kill()
    service.process.wait(PATIENCE)
    load.end()
    outcomes, end = load.truth.outcomes, load.truth.json("end")
    assert outcomes["200"] >= 20
    assert outcomes["connection"] > 0
    assert set(outcomes) <= {"200", "connection", "reset"}
    assert outcomes.total() == end["requests"] == 500 - end["missed"]


def test_an_interrupt_ends_early_with_the_truth_complete(serve: Start, play: Play) -> None:
    """Nothing in flight is lost, and labels no longer wait for their delay."""
    service = serve(latency=0.1)
    load = play(plan_of(LoadPhase("p", 600.0, 50.0), labels=LabelPlan(1.0, 300.0)), service.url)
    wait_for(lambda: len(load.truth.lines()) >= 30, DEADLINE, "the load runs")
    load.process.send_signal(signal.SIGINT)
    load.end()
    lines, seen = load.truth.lines(), service.seen()
    assert sorted(line["request_id"] for line in lines) == sorted(seen["request_ids"])
    assert load.truth.outcomes == {"200": len(lines)}
    assert seen["labels"] == {line["prediction_id"]: line["label"] for line in lines}
    assert load.truth.json("end")["requests"] == len(lines)


def test_a_termination_completes_the_truth_too(serve: Start, play: Play) -> None:
    """SIGTERM is what a supervisor sends after SIGINT."""
    service = serve()
    load = play(plan_of(LoadPhase("p", 600.0, 50.0)), service.url)
    wait_for(lambda: len(load.truth.lines()) >= 10, DEADLINE, "the load runs")
    load.process.terminate()
    load.end()
    assert load.truth.json("end")["requests"] == len(service.seen()["request_ids"])


def test_labels_wait_for_their_delay_and_their_share(serve: Start, play: Play) -> None:
    """No label is posted before its prediction is old enough."""
    service = serve()
    load = play(plan_of(LoadPhase("p", 3.0, 40.0), labels=LabelPlan(0.5, 1.0)), service.url)
    load.end()
    first = min(line["finished_at"] for line in load.truth.lines())
    assert min(batch["sent_at"] for batch in load.truth.lines("labels")) >= first + 1.0
    assert 30 < len(service.seen()["labels"]) < 90


@pytest.mark.parametrize(
    ("content", "host", "message"),
    [
        ("{}", "http://127.0.0.1:1", "run_id is missing"),
        (None, "http://127.0.0.1:1", "cannot read the load plan"),
        ("drift", "http://127.0.0.1:1", "the drift 'missing' finds no column"),
        ("artefact", "http://127.0.0.1:1", "no model artefact at"),
        ("good", "127.0.0.1:1", "host must be the service's URL"),
    ],
)
def test_what_cannot_run_is_one_line_and_exit_code_2(
    tmp_path: Path, content: str | None, host: str, message: str
) -> None:
    """No traceback for bad input, and nothing is sent."""
    plan = plan_of(LoadPhase("p", 1.0, 1.0))
    plans = {
        "good": plan,
        "drift": plan_of(LoadPhase("p", 1.0, 1.0, PhaseDrift("missing"))),
        "artefact": replace(plan, artefact=tmp_path / "absent"),
    }
    file = tmp_path / "plan.json"
    if content in plans:
        write_plan(file, plans[content])
    elif content is not None:
        file.write_text(content)
    command = locust_command(file, None, host)
    with running(command, tmp_path, subprocess.PIPE, subprocess.PIPE) as process:
        output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, output) == (2, "")
    assert re.fullmatch(r"load: .*\n", errors)
    assert message in errors


def test_the_web_ui_offers_the_profiles_and_checks_what_is_typed(
    serve: Start, tmp_path: Path, program: Callable[..., str]
) -> None:
    """A start with bad values is answered with an error; a good one sends until it is stopped."""
    service = serve()
    port = free_port()
    command = web_command(service.url, port=port, use_case="diabetes")
    page = f"http://127.0.0.1:{port}"
    truth = Truth(tmp_path / "truth" / "start-001")
    command += ["--truth-dir", str(truth.root.parent)]
    form = {
        "host": service.url, "load_profile": "drifted", "rate": "50", "drift": "covariate_shift",
        "severity": "1", "duration": "0", "seed": "",
    }  # fmt: skip
    with running(command, tmp_path) as process:
        wait_for(lambda: answers(page), DEADLINE, "the web UI answers")
        html = fetch(page)
        assert re.search(r'"choices": \["normal", "drifted"\]', html)
        fields = [html.index(f'"{name}": {{') for name in SHOWN]
        assert fields == sorted(fields)
        drawn = visit(program("chromium", "google-chrome"), page, tmp_path / "profile").dom
        for name in ("loadProfile", "userCount"):  # what the style arranges is there
            assert f'name="{name}"' in drawn
            assert f'[name="{name}"]' in drawn
        for key, value in (("load_profile", "wild"), ("rate", "fast"), ("host", "nowhere")):
            refused = json.loads(fetch(f"{page}/swarm", form | {key: value}))
            assert refused["success"] is False
            assert key in refused["message"]
        script = "<script>document.documentElement.setAttribute('data-ran', '1')</script>"
        other = service.url.replace("127.0.0.1", "127.0.0.2")
        for key, value in (
            ("host", other),
            ("truth_dir", str(tmp_path / "elsewhere")),
            ("artefact", "/etc"),
            ("use_case", script),
            ("loglevel", script),
        ):
            refused = json.loads(fetch(f"{page}/swarm", form | {key: value}))
            assert (refused["success"], key in refused["message"]) == (False, True), refused
        for headers, method, path, status in (
            ({"Origin": "https://evil.example"}, "POST", "/swarm", 403),
            ({"Origin": "null"}, "POST", "/stop", 403),
            ({"Sec-Fetch-Site": "cross-site"}, "GET", "/stats/requests", 403),
            ({"Host": "evil.example"}, "GET", "/", 421),
            ({}, "POST", "/user", 403),
        ):
            reply = httpx.request(method, f"{page}{path}", headers=headers, data=form, timeout=30)
            assert reply.status_code == status, path
            assert reply.headers["content-type"].startswith("text/plain")
        bad = httpx.post(f"{page}/swarm", data=form | {"user_count": script}, timeout=30)
        assert "html" not in bad.headers["content-type"]
        assert "access-control-allow-origin" not in bad.headers
        assert not (tmp_path / "elsewhere").exists()
        assert json.loads(fetch(f"{page}/swarm", form))["success"] is True
        wait_for(lambda: len(service.seen()["request_ids"]) >= 20, DEADLINE, "requests arrive")
        assert json.loads(fetch(f"{page}/stop", {}))["success"] is True
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
    assert truth.json("end")["requests"] == len(service.seen()["request_ids"])
    assert {line["drift"] for line in truth.lines()} == {"covariate_shift"}
