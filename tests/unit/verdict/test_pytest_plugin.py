"""Runs as pytest's tests see them: what they answer, and the plumbing of the plugin."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.playedrun import PlayedRun
from testbed.report import write_outcome

from tests.support.typedpage import blocks_of

from .conftest import ALERT, World

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

# Plays a stored verdict; all else is the plugin's own.
CONFTEST = """
import pathlib
import testbed.playsession
from testbed.errors import StackError
from testbed.layout import RunLayout
from testbed.playedrun import PlayedRun
from testbed.verdict import read_verdict

class Stored:
    def __init__(self, settings, options, **_):
        self.options = options
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pathlib.Path("closed").touch()
    def play(self, name, seed=None):
        if name == "broken":
            raise StackError("prometheus did not start")
        with open("played", "a") as file:
            print(name, seed, self.options.time_scale, file=file)
        layout = RunLayout(pathlib.Path("run").resolve())
        return PlayedRun(read_verdict(layout), layout)

testbed.playsession.PlaySession = Stored
"""

# Importing these takes seconds, and nothing here depends on them.
OTHERS = " ".join(
    f"-p no:{name}" for name in ("faker", "hypothesispytest", "locust", "schemathesis")
)


@pytest.fixture
def stored(world: World, pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder whose tests play a verdict that failed."""
    world.silence()
    layout = RunLayout(pytester.path / "run").create()
    write_outcome(layout, world.evaluate(), world.evidence())
    pytester.makeconftest(CONFTEST)
    pytester.makeini(f"[pytest]\naddopts = {OTHERS}\n")
    return pytester


def test_a_failed_assertion_names_alert_reason_and_report(stored: pytest.Pytester) -> None:
    """What the answer says, what else failed, and where the report lies."""
    page, _ = blocks_of("how-to/test-with-pytest.md", "python")
    assert ALERT in page
    stored.makepyfile(page)
    result = stored.runpytest_inprocess("--testbed-time-scale=60", "--junit-xml=out.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"*<no: {ALERT} never fired: *",
            "*testbed run run-1*",
            "FAILED error-burst: *",
            f"  alert {ALERT} in burst: *",
            f"report: {stored.path}/run/report.html",
        ]
    )
    assert (stored.path / "played").read_text() == "error-burst None 60.0\n"
    assert (stored.path / "closed").exists()
    tree = ET.parse(stored.path / "out.xml")  # noqa: S314 - written here
    properties = {each.get("name"): each.get("value") for each in tree.iter("property")}
    assert properties["testbed_report"] == f"{stored.path}/run/report.html"
    assert properties["testbed_scenario"] == "error-burst"
    assert properties["testbed_outcome"] == "FAILED"


def test_what_could_not_be_played_is_an_error(stored: pytest.Pytester) -> None:
    """Not a failure of what the test asserts; the reason is one line."""
    stored.makepyfile(
        "import pytest\n"
        "def test_body(testbed): testbed.play('broken')\n"
        "@pytest.mark.testbed_scenario('broken')\n"
        "def test_setup(testbed_run): pass\n"
        "def test_name(testbed): testbed.play('x').alert('HighErorRate')\n"
        "def test_own(testbed): raise ValueError\n"
    )
    result = stored.runpytest_inprocess("--junit-xml=out.xml")
    result.assert_outcomes(errors=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "testbed: prometheus did not start",
            f"testbed: the run has no alert 'HighErorRate': did you mean {ALERT}?",
        ]
    )
    (suite,) = ET.parse(stored.path / "out.xml").getroot()  # noqa: S314 - written here
    assert (suite.get("errors"), suite.get("failures")) == ("3", "1")


def test_tests_of_one_scenario_share_its_run(stored: pytest.Pytester) -> None:
    """By marker, by file beside the test, and by parameter; another seed is another run."""
    (stored.path / "mine.yaml").touch()
    stored.makepyfile(
        "import pytest\n"
        "@pytest.mark.testbed_scenario('mine.yaml')\n"
        "def test_a(testbed_run): assert not testbed_run.passed\n"
        "@pytest.mark.testbed_scenario('mine.yaml')\n"
        "def test_b(testbed_run): assert testbed_run.alert('HighErrorRate').silent\n"
        "@pytest.mark.testbed_scenario('mine.yaml', seed=2)\n"
        "def test_c(testbed_run): pass\n"
        "@pytest.mark.parametrize('testbed_run', ['normal', ('demo', 3)], indirect=True)\n"
        "def test_d(testbed_run): pass\n"
    )
    stored.runpytest_inprocess("--strict-markers").assert_outcomes(passed=5)
    mine = stored.path / "mine.yaml"
    assert (stored.path / "played").read_text().splitlines() == [
        f"{mine} None None",
        f"{mine} 2 None",
        "normal None None",
        "demo 3 None",
    ]


def test_the_page_plays_by_marker_and_by_parameter(stored: pytest.Pytester) -> None:
    """Its second program: each scenario is played once, in the order of its tests."""
    _, page = blocks_of("how-to/test-with-pytest.md", "python")
    stored.makepyfile(page)
    stored.runpytest_inprocess("--strict-markers").assert_outcomes(failed=3)  # the run failed
    played = (stored.path / "played").read_text().splitlines()
    assert played == [f"{name} None None" for name in ("error-burst", "normal", "uneven-load")]


def test_a_run_needs_a_scenario(stored: pytest.Pytester) -> None:
    """The message says how to name one."""
    stored.makepyfile("def test_a(testbed_run): pass")
    result = stored.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*testbed_run needs a scenario: @pytest.mark.testbed_scenario*"])


@pytest.mark.slow
def test_a_signal_stops_the_stack(stored: pytest.Pytester) -> None:
    """As Ctrl-C does: CI systems end a job by SIGTERM."""
    stored.makepyfile(
        "import os, signal\n"
        "def test_it(testbed):\n"
        "    testbed.play('normal')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    result = stored.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert (stored.path / "closed").exists()


def test_nothing_is_imported_until_a_test_asks(stored: pytest.Pytester) -> None:
    """The plugin costs others nothing, and their warnings are their own."""
    (stored.path / "conftest.py").unlink()
    stored.makepyfile(
        "import sys\n"
        "def test_it():\n"
        "    mine = {name for name in sys.modules if 'testbed' in name} - {'pytest_testbed'}\n"
        "    assert mine == set()\n"
    )
    stored.runpytest_subprocess("-p", "no:benchmark").assert_outcomes(passed=1)


def test_the_plugin_is_a_distribution_of_its_own() -> None:
    """Who installs the testbed alone gets no plugin into each of their runs of pytest."""
    (plugin,) = metadata.entry_points(group="pytest11", module="pytest_testbed")
    assert plugin.dist is not None
    assert plugin.dist.name == "pytest-ml-observability-testbed"
    assert not metadata.distribution("ml-observability-testbed").entry_points.select(
        group="pytest11"
    )


@pytest.fixture
def run(world: World, tmp_path: Path) -> PlayedRun:
    """The world's run: 7 s, 3.5 production minutes, to the alert and 8 s to its end."""
    return PlayedRun(world.evaluate(), RunLayout(tmp_path))


def test_delays_count_from_the_phase(run: PlayedRun) -> None:
    """In production time; the reason says both what was and what was allowed."""
    alert = run.alert(ALERT)
    assert alert.fired
    assert alert.notified
    assert alert.fired_within("4m")
    assert not alert.fired_within("3m")
    assert repr(alert.fired_within("3m")) == (
        f"<no: {ALERT} was notified 3m30s after burst began, allowed were 3m>"
    )
    assert alert.resolved_within("4m")
    assert "4m after burst was over, allowed were 2m" in alert.resolved_within(120).reason
    assert not alert.silent
    assert not run.alert(ALERT, "recovery").fired_within("1h")


def test_a_run_answers_by_name(run: PlayedRun) -> None:
    """Checks and the decision; a name that is not there is no answer."""
    assert run.check("limit error_ratio")
    assert run.decision == "NO_ACTION"
    for ask in (
        lambda: run.check("limit eror_ratio"),
        lambda: run.alert("TooManyErrors"),
        lambda: run.alert(ALERT, "brust"),
        lambda: run.assertion("mine"),
    ):
        with pytest.raises(UsageError, match="the run has no"):
            ask()


def test_an_assertion_is_asked_by_its_own_name(world: World, tmp_path: Path) -> None:
    """Of whichever kind."""
    world.scenario["assertions"] = [{"kind": "requests", "name": "quick", "p95": 0.001}]
    run = PlayedRun(world.evaluate(), RunLayout(tmp_path))
    assert "p95 is 0.011 s" in run.assertion("quick").reason
    assert not run.assertion("quick")
