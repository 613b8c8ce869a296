"""Scenarios as tests: the fixtures ``testbed`` and ``testbed_run`` of pytest.

A plugin of pytest that does nothing until a test asks for one of them: all else is imported then.
"""

from __future__ import annotations

import signal
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from testbed.playedrun import PlayedRun
    from testbed.playsession import PlaySession

MARKER: Final = "testbed_scenario"
_PLAYED: Final[pytest.StashKey[list[PlayedRun]]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of every run."""
    group = parser.getgroup("testbed", "scenarios of the observability testbed")
    group.addoption(
        "--testbed-time-scale", type=float, help="Divides every duration; default: the scenario's."
    )
    group.addoption(
        "--testbed-rules", type=Path, metavar="DIR", help="Your rule files, not those that ship."
    )
    group.addoption("--testbed-use-case", help="In place of the scenarios' own.")
    group.addoption(
        "--testbed-seed", type=int, default=1, help="Seed of traffic, drift, labels (default: 1)."
    )
    group.addoption(
        "--testbed-out", type=Path, metavar="DIR", help="Folder of the runs; default: .testbed/runs"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(name, seed=None): the scenario that the fixture testbed_run plays; tests of the "
        "same one share its run",
    )


class Testbed:
    """What a test asks for runs.

    Args:
        session: plays them.
        item: the test.
    """

    __test__ = False

    def __init__(self, session: PlaySession, item: pytest.Item) -> None:
        self._session = session
        self._item = item

    def play(self, scenario: str | Path, seed: int | None = None) -> PlayedRun:
        """Play a scenario.

        Args:
            scenario: name of one that ships, or a YAML file; a relative path counts from the folder
                of the test file, or else from the working directory.
            seed: of the traffic; None takes that of ``--testbed-seed``.

        Returns:
            The run with its verdict, whether that passed or not.

        Raises:
            DomainError: it could not be played: an error of the test, not a failure.
        """
        with _no_warnings():
            run = self._session.play(_place(self._item, scenario), seed)
        return note(self._item, run)


@pytest.fixture(scope="session")
def testbed_session(request: pytest.FixtureRequest) -> Iterator[PlaySession]:
    """What plays: its stack is started with the first scenario and stopped after the last test."""
    with _no_warnings():
        from testbed.console import BuildProgress, say  # noqa: PLC0415 - only where it is used
        from testbed.playsession import PlaySession  # noqa: PLC0415 - the same
        from testbed.runoptions import RunOptions  # noqa: PLC0415 - the same
        from testbed.settings import load_settings  # noqa: PLC0415 - the same

    asked = request.config.option
    out = asked.testbed_out
    options = RunOptions(
        use_case=asked.testbed_use_case,
        seed=asked.testbed_seed,
        time_scale=asked.testbed_time_scale,
        rules=asked.testbed_rules and asked.testbed_rules.resolve(),
        out=out and out.resolve(),
    )
    session = PlaySession(
        load_settings(), options, say=say, progress=BuildProgress(), command="pytest"
    )
    with _ended_as_by_ctrl_c(), session:
        yield session


@pytest.fixture
def testbed(testbed_session: PlaySession, request: pytest.FixtureRequest) -> Testbed:
    """Plays scenarios: ``testbed.play("error-burst")``."""
    return Testbed(testbed_session, request.node)


@pytest.fixture(scope="session")
def _testbed_runs() -> dict[tuple[str, int | None], PlayedRun]:
    """Runs that tests share."""
    return {}


@pytest.fixture
def testbed_run(
    testbed_session: PlaySession,
    request: pytest.FixtureRequest,
    _testbed_runs: dict[tuple[str, int | None], PlayedRun],
) -> PlayedRun:
    """The run of the scenario of ``@pytest.mark.testbed_scenario``, or of an indirect parameter."""
    name, seed = _asked(request)
    key = (_place(request.node, name), seed)
    if key not in _testbed_runs:
        with _no_warnings():
            _testbed_runs[key] = testbed_session.play(*key)
    return note(request.node, _testbed_runs[key])


def note(item: pytest.Item, run: PlayedRun) -> PlayedRun:
    """Let the reports of a test say which run it is about."""
    item.stash.setdefault(_PLAYED, []).append(run)
    item.user_properties += [
        ("testbed_run", run.verdict.run.id),
        ("testbed_scenario", run.verdict.run.scenario),
        ("testbed_outcome", run.verdict.outcome),
        ("testbed_report", str(run.report)),
    ]
    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print the runs of a test that fails; what could not be played is an error."""
    report = yield
    if report.failed:
        for run in item.stash.get(_PLAYED, ()):
            text = "\n".join((*run.verdict.lines(), f"report: {run.report}"))
            report.sections.append((f"testbed run {run.verdict.run.id}", text))
        if call.excinfo is not None and _could_not_play(call.excinfo.value):
            report.longrepr = f"testbed: {call.excinfo.value}"
            report.when = "setup"  # pytest and readers of JUnit know errors by it
    return report


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide what libraries of the stack deprecate from tests, whose warnings may be errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _could_not_play(error: BaseException) -> bool:
    """Whether an error is one by which commands exit with 2."""
    if not any(each.__module__.startswith("testbed") for each in type(error).__mro__):
        return False
    from testbed_domain.errors import DomainError  # noqa: PLC0415 - only where it is used

    return isinstance(error, DomainError)


def _asked(request: pytest.FixtureRequest) -> tuple[str | Path, int | None]:
    """Scenario and seed, by marker or parameter."""
    given: Any = getattr(request, "param", None)
    if given is not None:
        return (given, None) if isinstance(given, str | Path) else (given[0], given[1])
    marker = request.node.get_closest_marker(MARKER)
    if marker is None or not marker.args:
        raise pytest.UsageError(
            f"testbed_run needs a scenario: @pytest.mark.{MARKER}('error-burst'), or an indirect "
            "parameter"
        )
    return marker.args[0], marker.kwargs.get("seed")


def _place(item: pytest.Item, scenario: str | Path) -> str:
    """A scenario's name, or its file, which lies beside the test or where its path says."""
    beside = item.path.parent / scenario
    is_file = Path(scenario).suffix in {".yaml", ".yml"}
    return str(beside.resolve()) if is_file and beside.is_file() else str(scenario)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end pytest as Ctrl-C does, so that the stack is stopped."""
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
