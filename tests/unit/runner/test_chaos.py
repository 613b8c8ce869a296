"""The Chaos Toolkit as a fault: what is executed, what its journal says, what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError
from testbed.faults import chaostoolkit
from testbed.faults.chaostoolkit import ChaosFault, read_journal
from testbed.faults.rig import Rig
from testbed.layout import RunLayout
from testbed.scenario import read_scenario
from testbed.stack.process import ProcessRequest, Supervisor

from tests.support.needs import missing
from tests.support.polling import PATIENCE, wait_for

if TYPE_CHECKING:
    from testbed.stack.stack import Stack

ACTION = {"name": "break it", "provider": {"type": "process", "path": "true"}}
# Does what `chaos run` does with a journal.
PROGRAM = """\
#!{python}
import json, sys
document = json.load(open(sys.argv[-1]))
journal = sys.argv[sys.argv.index("--journal-path") + 1]
runs = [{{"activity": each, "status": "succeeded"}} for each in document["method"]]
json.dump({{"status": "completed", "run": runs, "rollbacks": []}}, open(journal, "w"))
"""


class Helpers:
    """What a stack does with the helpers of faults."""

    def __init__(self, folder: Path) -> None:
        self.supervisor = Supervisor()
        self.context = SimpleNamespace(layout=RunLayout(folder))

    def start_helper(self, name: str, argv: tuple[str, ...], *, grace: float) -> int:
        """Start one."""
        log = self.context.layout.root / "faults.log"
        request = ProcessRequest(name, argv, log, {}, Path.cwd(), grace, job=True)
        return self.supervisor.start(request).pid

    def await_helper(self, name: str, timeout: float) -> object:
        """Wait for its end."""
        return self.supervisor.wait(name, timeout)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of `chaos`."""
    program = tmp_path / "chaos"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o700)
    monkeypatch.setattr(chaostoolkit, "_command", lambda: program)
    return program


def test_an_action_and_what_undoes_it_are_executed(command: Path, tmp_path: Path) -> None:
    """Each as an experiment of one activity; the journals say what came of them."""
    assert command.exists()
    fault = ChaosFault.model_validate({"action": ACTION, "undo": {**ACTION, "name": "mend it"}})
    stack = Helpers(tmp_path)
    rig = Rig(cast("Stack", stack), cast("Any", None), cast("Any", None))
    fault.begin(rig)
    seen = cast("Any", fault.end(rig))
    stack.supervisor.close()
    assert seen["begin"] == {
        "took": True, "said": "it was completed, 1 of 1 activities succeeded"
    }  # fmt: skip
    assert seen["end"]["took"]
    files = sorted((tmp_path / "data" / "chaos").glob("*-experiment.json"))
    names = [json.loads(file.read_text())["method"][0]["name"] for file in files]
    assert names == ["break it", "mend it"]


def process(name: str, program: str, *arguments: object) -> dict[str, Any]:
    """An activity of the Chaos Toolkit that executes a program."""
    words = " ".join(map(str, arguments))
    provider = {"type": "process", "path": program, "arguments": words}
    return {"type": "action", "name": name, "provider": provider}


@pytest.mark.slow
def test_the_real_program_executes_what_is_given(tmp_path: Path) -> None:
    """An action and what undoes it; of an experiment its rollbacks, and what failed of it."""
    mark, other = tmp_path / "mark", tmp_path / "other"
    fault = ChaosFault.model_validate(
        {"action": process("make", "touch", mark), "undo": process("remove", "rm", mark)}
    )
    if (reason := fault.permitted()) is not None:
        missing(reason)
    stack = Helpers(tmp_path)
    rig = Rig(cast("Stack", stack), cast("Any", None), cast("Any", None))
    fault.begin(rig)
    wait_for(mark.exists, PATIENCE, "the action is not executed")
    seen = cast("Any", fault.end(rig))
    assert not mark.exists()
    assert (seen["begin"]["took"], seen["end"]["took"]) == (True, True)
    removes = {"type": "python", "module": "os", "func": "remove", "arguments": {"path": "none"}}
    experiment = {
        "title": "two",
        "description": "The second one removes what is not there.",
        "method": [
            process("make", "touch", other),
            {"type": "action", "name": "nothing", "provider": removes},
        ],
        "rollbacks": [process("remove", "rm", other)],
    }
    whole = ChaosFault.model_validate({"experiment": experiment})
    whole.begin(rig)
    found = cast("Any", whole.end(rig))["begin"]
    stack.supervisor.close()
    assert not found["took"]
    assert "2 of 3 activities succeeded; nothing:" in found["said"]
    assert not other.exists()


def test_a_journal_says_what_failed() -> None:
    """The first activity, and why; nothing done is no success."""
    activity = {"activity": {"name": "kill a pod"}, "status": "failed", "exception": ["Error: no"]}
    found = read_journal({"status": "completed", "run": [activity], "deviated": True})
    assert not found["took"]
    assert "0 of 1 activities succeeded; kill a pod: Error: no" in found["said"]
    assert "steady state had deviated" in found["said"]
    assert not read_journal({"status": "aborted", "run": []})["took"]


def test_it_is_trusted_or_refused_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it executes needs trust, also what stands in a file beside the scenario."""
    experiment = {"title": "all of it", "method": [ACTION]}
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))
    scenario = tmp_path / "scenario.yaml"
    phase = "{name: a, duration: 1m, rate: 1, faults: [{kind: chaos, file: experiment.json}]}"
    scenario.write_text(f"name: x\ntitle: x\ndescription: x\nphases: [{phase}]\n")
    (fault,) = read_scenario(scenario).phases[0].faults
    assert fault.trusting is not None
    assert json.loads(fault.trusting) == experiment
    monkeypatch.setattr(chaostoolkit, "_command", lambda: None)
    assert "uv tool install chaostoolkit" in (fault.permitted() or "")
    for given in ({}, {"action": ACTION, "experiment": experiment}):
        with pytest.raises(ValidationError, match="either action or experiment"):
            ChaosFault.model_validate(given)
