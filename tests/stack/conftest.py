"""Real processes in real time: the compiled tools, and the command line as a user calls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed_domain.artefact import Artefact

from tests.support.commandline import CommandLine
from tests.support.loads import Play, Start, playing, serving
from tests.support.polling import wait_for


@pytest.fixture
def command_line(tmp_path: Path, tools: None) -> Iterator[CommandLine]:  # noqa: ARG001 - needed first
    """The command line in an empty folder; nothing may be left when the test is over."""
    line = CommandLine(tmp_path)
    yield line
    wait_for(lambda: not line.left(), 15, lambda: f"processes are left: {line.left()}")
    halves = [path.name for path in tmp_path.rglob(".*.*") if path.is_file()]
    assert not [name for name in halves if "tmp" in name], "a half-written file is left"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Starts the service with a latency and a ratio of failures."""
    with serving(tmp_path) as start:
        yield start


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Starts Locust with a plan."""
    with playing(tmp_path) as start:
        yield start


@pytest.fixture
def candidate(tmp_path: Path) -> Artefact:
    """Another small forest of the same use case."""
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(10, 4, train_rows=600, test_rows=200, reference_rows=100)
    return train(get_use_case("diabetes"), None, 2, tmp_path / "candidate", options)
