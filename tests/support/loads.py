"""A small real service on the loopback, and Locust processes that play plans against it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed_load.command import locust_command
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, write_plan

from tests.support.jsonlines import whole_lines
from tests.support.polling import answers, wait_for
from tests.support.processes import end

FAKE = Path(__file__).parents[1] / "fakes" / "prediction_api.py"
DEADLINE = 120.0


def fetch(url: str, form: dict[str, str] | None = None) -> str:
    """The body of an answer; an error's body too."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        with urllib.request.urlopen(url, data, timeout=30) as answer:  # noqa: S310 - http only
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()


@contextlib.contextmanager
def running(
    command: list[str], cwd: Path, output: int | None = None, errors: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone at the end, whatever happens."""
    settings = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=settings,
        stdin=subprocess.DEVNULL,
        text=True,
        stdout=output,
        stderr=errors,
    )
    try:
        yield process
    finally:
        end(process, kill=True)


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    url: str

    def seen(self) -> dict[str, Any]:
        """What reached it."""
        return dict(json.loads(fetch(f"{self.url}/seen")))


Start = Callable[..., Service]


@contextlib.contextmanager
def serving(tmp_path: Path) -> Iterator[Start]:
    """Starts the service with a latency and a share of failures."""
    with contextlib.ExitStack() as stack:

        def start(latency: float = 0.0, fail_every: int = 0) -> Service:
            command = [sys.executable, str(FAKE), str(latency), str(fail_every)]
            process = stack.enter_context(running(command, tmp_path, subprocess.PIPE))
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            wait_for(lambda: answers(f"{url}/seen"), DEADLINE, "the service answers")
            return Service(process, url)

        yield start


@dataclass(frozen=True)
class Truth:
    """The truth files of one load."""

    root: Path

    def lines(self, name: str = "requests") -> list[dict[str, Any]]:
        """The JSON lines of a file, as far as they are written."""
        return whole_lines(self.root / f"{name}.jsonl")

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file."""
        return dict(json.loads((self.root / f"{name}.json").read_text()))

    @property
    def outcomes(self) -> Counter[str]:
        """Requests by status or kind of error."""
        return Counter(str(line["error"] or line["status"]) for line in self.lines())


@dataclass(frozen=True)
class Load:
    """A Locust process and what it writes."""

    process: subprocess.Popen[str]
    truth: Truth

    def end(self) -> str:
        """Wait for its end, which must be a good one; its output."""
        output, errors = self.process.communicate(timeout=DEADLINE)
        assert (self.process.returncode, errors) == (0, ""), (self.process.returncode, errors)
        return output


Play = Callable[..., Load]


@contextlib.contextmanager
def playing(tmp_path: Path) -> Iterator[Play]:
    """Starts Locust with a plan, in one process or several."""
    with contextlib.ExitStack() as stack:

        def start(plan: LoadPlan, url: str, *options: str, processes: int = 1) -> Load:
            number = len(list(tmp_path.glob("*.plan.json")))
            file, truth = tmp_path / f"{number}.plan.json", tmp_path / f"truth-{number}"
            write_plan(file, plan)
            process = stack.enter_context(
                running(
                    [*locust_command(file, truth, url, processes=processes), *options],
                    tmp_path,
                    subprocess.PIPE,
                    subprocess.PIPE,
                )
            )
            return Load(process, Truth(truth))

        yield start


def plan_of(*phases: LoadPhase, labels: LabelPlan | None = None, timeout: float = 10.0) -> LoadPlan:
    """A plan of these phases."""
    return LoadPlan("run", 3, "diabetes", phases, labels=labels or LabelPlan(), timeout=timeout)
