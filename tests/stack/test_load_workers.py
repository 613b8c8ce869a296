"""Load that several processes send, on this machine or on two."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from testbed_load.command import master_command, web_command, worker_command
from testbed_load.plan import LabelPlan, LoadPhase, PhaseDrift, read_plan, write_plan
from testbed_load.traceids import request_context

from tests.support.loads import (
    DEADLINE,
    FAKE,
    Load,
    Play,
    Start,
    Truth,
    fetch,
    plan_of,
    running,
)
from tests.support.needs import missing
from tests.support.otlpreceiver import Receiver
from tests.support.polling import answers, wait_for
from tests.support.ports import free_port
from tests.support.typedpage import typed_in, variables_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE = "how-to/more-load.md"
TESTBED = Path(sys.executable).with_name("testbed")
OUT = "truth"


@contextmanager
def typed_load(
    part: str, folder: Path, replaced: Mapping[str, str], *further: str, on: Sequence[str] = ()
) -> Iterator[Load]:
    """A load that the page's command begins, with its variables; the truth is in ``OUT``.

    Args:
        part: of the command.
        folder: where it is typed.
        replaced: see :func:`typed_in`.
        further: words behind it.
        on: words before it, as for another host.
    """
    words = typed_in(PAGE, part, replaced)
    variables = [f"{name}={value}" for name, value in variables_in(PAGE, part).items()]
    where = () if OUT in words else ("--out", OUT)
    command = [*on, "env", *variables, str(TESTBED), *words, *further, *where]
    with running(command, folder, subprocess.PIPE, subprocess.PIPE) as process:
        yield Load(process, Truth(folder / OUT))


def workers(load: Load) -> list[psutil.Process]:
    """The processes that send."""
    return psutil.Process(load.process.pid).children()


def sent(load: Load) -> dict[int, tuple[Any, ...]]:
    """Number of a request to what was sent and when it was due, in seconds from the start."""
    start = load.truth.json("start")["time"]
    return {
        line["seq"]: (
            line["features"], line["label"], line["phase"], line["drift"],
            round(line["scheduled_at"] - start, 3),
        )
        for line in load.truth.lines()
    }  # fmt: skip


def test_the_stream_is_the_same_for_any_number_of_workers(serve: Start, play: Play) -> None:
    """Request k has the same row, label, drift and due time; each arrives once, with its label."""
    drift = PhaseDrift("covariate_shift", 0.5)
    plan = plan_of(
        LoadPhase("even", 2.0, 30.0),
        LoadPhase("drawn", 2.0, 30.0, drift, arrivals="poisson"),
        LoadPhase("last", 1.0, 20.0, requests=41),
    )
    services = [serve(), serve()]
    loads = [
        play(plan, service.url, processes=count)
        for service, count in zip(services, (1, 3), strict=True)
    ]
    outputs = [load.end() for load in loads]
    # What a machine that stood still did not send is missed, and said.
    missed = [load.truth.json("end")["missed"] for load in loads]
    alone, shared = (sent(load) for load in loads)
    assert len(alone) + missed[0] == len(shared) + missed[1]
    both = sorted(alone.keys() & shared.keys())
    assert both
    assert [shared[k] for k in both] == [alone[k] for k in both]
    seen, lines = services[1].seen(), loads[1].truth.lines()
    assert sorted(seen["request_ids"]) == sorted(line["request_id"] for line in lines)
    assert seen["labels"] == {line["prediction_id"]: line["label"] for line in lines}
    end = loads[1].truth.json("end")
    assert (end["requests"], end["labels"]) == (len(lines), len(lines))
    assert re.search(rf"sent +{len(lines)}\b", outputs[1])


def _begun(page: str, form: dict[str, str]) -> bool:
    return bool(json.loads(fetch(f"{page}/swarm", form))["success"])


def _has(truth: Truth, count: int) -> bool:
    return len(truth.lines()) >= count


def test_the_web_ui_sends_from_several_processes(serve: Start, tmp_path: Path) -> None:
    """One load after the other, each as its form says, and each with all of its truth."""
    service, port = serve(), free_port()
    page, folder = f"http://127.0.0.1:{port}", tmp_path / "truth"
    command = web_command(service.url, port=port, use_case="diabetes", processes=2)
    form = {
        "host": service.url, "load_profile": "drifted", "rate": "40", "drift": "covariate_shift",
        "severity": "1", "duration": "0", "seed": "1",
    }  # fmt: skip
    with running([*command, "--truth-dir", str(folder)], tmp_path) as process:
        wait_for(lambda: answers(page), DEADLINE, "the web UI answers")
        for number, profile in ((1, "drifted"), (2, "normal")):
            asked = form | {"load_profile": profile}
            wait_for(partial(_begun, page, asked), DEADLINE, "both workers are there")
            truth = Truth(folder / f"start-{number:03d}")
            wait_for(partial(_has, truth, 20), DEADLINE, "requests arrive")
            assert json.loads(fetch(f"{page}/stop", {}))["success"] is True
            wait_for((truth.root / "end.json").exists, DEADLINE)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
    truths = [Truth(folder / f"start-{number:03d}") for number in (1, 2)]
    lines = [truth.lines() for truth in truths]
    assert {line["drift"] for line in lines[0]} == {"covariate_shift"}
    assert {line["drift"] for line in lines[1]} == {None}
    assert [truth.json("end")["requests"] for truth in truths] == [len(each) for each in lines]
    numbers = sorted(line["seq"] for line in lines[1])
    assert len(set(numbers)) == len(numbers)
    assert {number % 2 for number in numbers} == {0, 1}
    sent = sorted(line["request_id"] for each in lines for line in each)
    assert sorted(service.seen()["request_ids"]) == sent


@pytest.mark.parametrize(
    "part", ["testbed load normal --otlp-endpoint", "TRACE_RATIO=1 testbed load"]
)
def test_spans_of_the_load_are_the_parents_of_the_services_own(
    part: str, serve: Start, tmp_path: Path
) -> None:
    """One for each request whose trace is stored or that failed, and a duration for every one."""
    receiver = Receiver()
    service = serve(fail_every=10)
    own = {"http://127.0.0.1:4318": receiver.url}
    further = ("--host", service.url, "--rate", "40", "--duration", "3")
    with typed_load(part, tmp_path, own, *further) as load:
        output, errors = load.process.communicate(timeout=DEADLINE)
    assert load.process.returncode == 0, errors
    plan = read_plan(load.truth.root / "load-plan.json")
    assert plan.trace_ratio is not None
    lines = {line["trace_id"]: line for line in load.truth.lines()}
    told = {key for key, line in lines.items() if line["sampled"] or line["status"] == 500}
    assert 0 < len(told) <= len(lines)
    assert (len(told) == len(lines)) == (plan.trace_ratio == 1)
    found = {span.trace_id.hex(): span for span in receiver.all_spans()}
    assert set(found) == told
    assert f"{len(told)} of {len(told)} spans taken by {receiver.url}" in output
    for key, span in found.items():
        line = lines[key]
        sent = request_context(plan.run_id, plan.seed, line["seq"], plan.trace_ratio)
        assert (span.name, span.span_id.hex()) == ("POST /predict", sent.parent_id)
        took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        assert took == pytest.approx(line["finished_at"] - line["sent_at"], abs=1e-5)
        assert (span.status.code == span.status.STATUS_CODE_ERROR) == (line["status"] == 500)
    assert receiver.observations("http.client.request.duration") == len(lines)
    receiver.stop()


def test_closed_users_of_several_workers_are_as_many_as_planned(serve: Start, play: Play) -> None:
    """No number of a request is given twice, also in the phase after it."""
    service = serve(0.05)
    phases = (LoadPhase("closed", 2.0, None, users=5, wait=0.1), LoadPhase("open", 1.0, 20.0))
    load = play(plan_of(*phases), service.url, processes=2)
    load.end()
    lines = load.truth.lines()
    assert len({line["seq"] for line in lines}) == len(lines)
    closed = [line for line in lines if line["phase"] == "closed"]
    moments = sorted({line["sent_at"] for line in closed})
    active = [
        sum(line["sent_at"] <= moment < line["finished_at"] for line in closed)
        for moment in moments
    ]
    assert max(active) <= 5
    assert len(lines) - len(closed) + load.truth.json("end")["missed"] == 20


def test_an_interrupt_ends_all_workers_with_the_truth_complete(serve: Start, play: Play) -> None:
    """Nothing in flight is lost, and labels no longer wait for their delay."""
    service = serve(0.1)
    plan = plan_of(LoadPhase("p", 600.0, 50.0), labels=LabelPlan(1.0, 300.0))
    load = play(plan, service.url, processes=2)
    wait_for(lambda: len(load.truth.lines()) >= 30, DEADLINE, "the load runs")
    there = workers(load)
    load.process.send_signal(signal.SIGINT)
    load.end()
    lines, seen = load.truth.lines(), service.seen()
    assert sorted(line["request_id"] for line in lines) == sorted(seen["request_ids"])
    assert load.truth.outcomes == {"200": len(lines)}
    assert seen["labels"] == {line["prediction_id"]: line["label"] for line in lines}
    assert len(there) == 2
    wait_for(lambda: not any(each.is_running() for each in there), what="the workers end")


def test_a_worker_that_is_killed_is_no_load_that_was_played(serve: Start, tmp_path: Path) -> None:
    """Its part of the truth is gone with it."""
    own = {"1500": "50", "60": "600"}
    with typed_load("normal --rate 1500", tmp_path, own, "--host", serve().url) as load:
        wait_for(lambda: len(load.truth.lines()) >= 30, DEADLINE, "the load runs")
        assert len(workers(load)) == 3
        workers(load)[0].kill()
        _, errors = load.process.communicate(timeout=DEADLINE)
    assert load.process.returncode == 2
    assert "load: 2 of 3 workers are left, so it is not complete" in errors


def test_workers_do_not_outlive_a_master_that_is_killed(serve: Start, play: Play) -> None:
    """Nobody would stop them."""
    service = serve()
    load = play(plan_of(LoadPhase("p", 600.0, 50.0)), service.url, processes=2)
    wait_for(lambda: len(load.truth.lines()) >= 30, DEADLINE, "the load runs")
    there = workers(load)
    load.process.kill()
    load.process.wait(DEADLINE)
    wait_for(lambda: not any(each.is_running() for each in there), what="the workers end")


def shell(*command: str) -> None:
    """Execute a command that must succeed."""
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces, at 10.201.0.1 and 10.201.0.2, with a cable between them."""
    if shutil.which("ip") is None:
        missing("ip of iproute2")
    names = f"tb{uuid.uuid4().hex[:6]}a", f"tb{uuid.uuid4().hex[:6]}b"
    with ExitStack() as stack:
        for name in names:
            try:
                shell("ip", "netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces: {error.stderr}")
            stack.callback(shell, "ip", "netns", "delete", name)
        first, second = names
        shell(*f"ip link add eth0 netns {first} type veth peer name eth0 netns {second}".split())
        for number, name in enumerate(names, 1):
            shell(*f"ip -n {name} address add 10.201.0.{number}/24 dev eth0".split())
            for device in ("lo", "eth0"):
                shell(*f"ip -n {name} link set {device} up".split())
        yield names


def test_workers_on_two_hosts_send_one_load(hosts: tuple[str, str], tmp_path: Path) -> None:
    """One beside the master, one on the other host; the truth is written on the first alone.

    The page's commands, with these hosts' addresses; the first one prints the other.
    """
    first, second = (["ip", "netns", "exec", name] for name in hosts)
    master = f"10.201.0.1:{free_port()}"
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        service = [*first, sys.executable, str(FAKE), "0", "0", "10.201.0.1"]
        serving = stack.enter_context(running(service, tmp_path, pipe))
        assert serving.stdout is not None
        url = f"http://10.201.0.1:{int(serving.stdout.readline())}"
        own = {"http://10.0.0.9:8000": url, "10.0.0.1:5557": master}
        smaller = {"4000": "40", "60": "3", "loads/big": OUT}
        begun = typed_load("normal --host", tmp_path, own | smaller, on=first)
        load = stack.enter_context(begun)
        plan = load.truth.root / "load-plan.json"
        wait_for(plan.exists, DEADLINE, "a plan", load.process)
        worker = typed_in(PAGE, "testbed load-worker", own)
        copied = [str(plan) if word == plan.name else word for word in worker]
        senders = [
            stack.enter_context(running([*host, str(TESTBED), *copied], tmp_path, pipe, pipe))
            for host in (first, second)
        ]
        _, errors = load.process.communicate(timeout=DEADLINE)
        assert load.process.returncode == 0, errors
        assert f"load: waiting for 2 times: testbed {' '.join(worker)}, each with" in errors
        assert [each.wait(DEADLINE) for each in senders] == [0, 0]
    lines, end = load.truth.lines(), load.truth.json("end")
    assert len({line["seq"] for line in lines}) == len(lines) == 120 - end["missed"]
    assert load.truth.outcomes == {"200": len(lines)}
    assert sum(len(batch["seqs"]) for batch in load.truth.lines("labels")) == len(lines)


def test_a_worker_with_another_plan_ends_the_load(serve: Start, tmp_path: Path) -> None:
    """The truth says what was planned, so all must have planned it."""
    url, master = serve().url, ("127.0.0.1", free_port())
    plans = [tmp_path / "plan.json", tmp_path / "other.json"]
    plan = plan_of(LoadPhase("p", 60.0, 40.0))
    write_plan(plans[0], plan)
    write_plan(plans[1], replace(plan, seed=4))
    command = master_command(plans[0], tmp_path / "truth", url, bind=master, workers=1)
    pipe = subprocess.PIPE
    with (
        running(command, tmp_path, pipe, pipe) as load,
        running(worker_command(plans[1], url, master=master), tmp_path),
    ):
        _, errors = load.communicate(timeout=DEADLINE)
    assert load.returncode == 2
    assert "load: worker 1 has another plan than the master" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_master_that_waits_for_workers_can_be_stopped(
    number: signal.Signals, serve: Start, tmp_path: Path
) -> None:
    """Once: nothing was sent, so there is nothing to wait for."""
    plan = tmp_path / "plan.json"
    write_plan(plan, plan_of(LoadPhase("p", 60.0, 40.0)))
    bound = ("127.0.0.1", free_port())
    command = master_command(plan, tmp_path / "truth", serve().url, bind=bound, workers=2)
    pipe = subprocess.PIPE
    with running(command, tmp_path, pipe, pipe) as load:
        wait_for(lambda: _catches(load.pid, signal.SIGTERM), DEADLINE, "it does not wait")
        load.send_signal(number)
        _, errors = load.communicate(timeout=DEADLINE)
    assert load.returncode == 2
    assert "load: interrupted before its workers came; nothing was sent" in errors


def _catches(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = int(re.search(r"^SigCgt:\t(\w+)$", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    return bool(caught >> (number - 1) & 1)
