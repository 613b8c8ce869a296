"""``docs/contributing/where.md``: the places exist, are few, and a package of one's own can add."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "contributing" / "where.md"
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| a")
]
# What a stranger may want to add, by the words of the page.
THINGS: Final = {
    "an alert",
    "a fault",
    "a drift of the load",
    "a shape of the load",
    "a drift statistic",
    "a check of the verdict",
    "an integration of Alertmanager",
    "an assertion of a scenario",
    "a panel",
    "a use case",
}


def paths(cell: str) -> list[str]:
    """What a cell of the table names as code."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_thing_has_its_row() -> None:
    """Nobody has to guess."""
    assert {row[0] for row in ROWS} >= THINGS


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_names_at_most_two_files_that_fit_the_tree(row: list[str]) -> None:
    """The folders are there, and so is the file to copy, in one of them."""
    places = paths(row[1])
    assert 1 <= len(places) <= 2
    for place in places:
        assert (ROOT / place).parent.is_dir(), place
        assert "NAME" in Path(place).name or (ROOT / place).is_file(), place
    (model,) = paths(row[2])
    assert (ROOT / model).is_file()
    assert (ROOT / model).parent in [(ROOT / place).parent for place in places]


PACKAGE: Final = {
    "receivers.py": """
from testbed_receiver.integrations import Integration

class Pigeon(Integration):
    kind = "pigeon"
    secrets = frozenset({"loft"})
    def address(self, config, shared, url): return {"loft": url}
""",
    "targets.py": """
from typing import Literal
from testbed.targets.http import HttpService

class TorchService(HttpService):
    kind: Literal["torchserve"] = "torchserve"
    ready: str = "/ping"
""",
    "faults.py": """
from typing import Literal
from testbed.faults import FaultModel

class FrozenDisk(FaultModel):
    kind: Literal["frozen-disk"] = "frozen-disk"
    @property
    def label(self): return "disk frozen"
    @property
    def description(self): return "the disk is frozen"
    def begin(self, rig): rig.stack.freeze()
    def end(self, rig): rig.stack.thaw()
""",
    "drifts.py": """
from testbed_load.drifts import Drift

SEASONAL = Drift("seasonal", "Nothing.", lambda rows, labels, _: (list(rows), list(labels)),
                 lambda schema: schema.features)
""",
    "shapes.py": """
from typing import Literal
from testbed_load.shapes import Knot, ShapeModel

class Cliff(ShapeModel):
    kind: Literal["cliff"] = "cliff"
    height: float
    @property
    def description(self): return f"falls from {self.height:g}/s"
    def knots(self): return Knot(0.0, self.height), Knot(0.9, self.height), Knot(1.0, 0.0)
""",
    "checks.py": """
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage

def check_mine(case):
    return (CheckResult(name="mine", passed=True, stage=Stage.LOAD, summary="as it should"),)
""",
    "assertions.py": """
from typing import Literal
from testbed.assertions import AssertionModel, Finding

class WeatherAssertion(AssertionModel):
    kind: Literal["weather"] = "weather"
    @property
    def words(self): return "it is fine"
    def evaluate(self, case): return Finding(passed=True, summary=self.words)
""",
    "use_cases.py": """
from dataclasses import replace
from testbed_domain.use_cases.iris import IRIS

MINE = replace(IRIS, name="mine")
""",
}
POINTS: Final = """
[testbed.faults]
frozen-disk = mine.faults:FrozenDisk
[testbed.drifts]
seasonal = mine.drifts:SEASONAL
[testbed.shapes]
cliff = mine.shapes:Cliff
[testbed.checks]
mine = mine.checks:check_mine
[testbed.targets]
torchserve = mine.targets:TorchService
[testbed.receivers]
pigeon = mine.receivers:Pigeon
[testbed.assertions]
weather = mine.assertions:WeatherAssertion
[testbed.use_cases]
mine = mine.use_cases:MINE
"""
READ: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from testbed.schemas import schema_text
from testbed.faults import FAULTS
from testbed.assertions import ASSERTIONS
from testbed.checks import CHECKS
from testbed_load.drifts import DRIFTS, get_drift
from testbed_domain.use_cases import USE_CASES
from testbed.cli.common import USE_CASE_HELP
from testbed.redirection import redirect
from testbed.scenario import Phase, Scenario
from testbed_rules.timescale import TimeScale
from testbed_load.shapetext import parse_shape

assert redirect(
    {"route": {"receiver": "a"}, "receivers": [{"name": "a", "pigeon_configs": [{"loft": "b"}]}]},
    TimeScale(1), file="own.yml", http="h:1", smtp="h:2",
)[0]["receivers"][0]["pigeon_configs"] == [{"loft": "http://h:1/receivers/a/pigeon/0"}]
assert Phase.model_validate(
    {"name": "a", "duration": "1m", "rate": 1, "faults": [{"kind": "frozen-disk"}]}
).faults[0].label == "disk frozen"
scenario = {"name": "a", "title": "", "description": "", "phases": []}
scenario["phases"] = [{"name": "a", "duration": "1m", "rate": 1}]
scenario["service"] = {"kind": "torchserve", "command": "serve"}
assert Scenario.model_validate(scenario).service.ready == "/ping"
assert "torchserve" in schema_text("scenario.schema.json")
print("frozen-disk" in FAULTS, "frozen-disk" in schema_text("scenario.schema.json"))
print("seasonal" in DRIFTS, get_drift("seasonal").name)
assert Phase.model_validate(
    {"name": "a", "duration": "1m", "shape": {"kind": "cliff", "height": 3}}
).played(1).planned(1) == 171
print(parse_shape("cliff height=3").description, "cliff" in schema_text("scenario.schema.json"))
print("weather" in ASSERTIONS, "weather" in schema_text("scenario.schema.json"))
print("mine" in CHECKS, "mine" in USE_CASES, "mine" in USE_CASE_HELP)
"""


@pytest.mark.slow
def test_a_package_of_ones_own_adds_one_of_each(tmp_path: Path) -> None:
    """Schema, help and registries know what its entry points name."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, text in PACKAGE.items():
        (package / name).write_text(text, encoding="utf-8")
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "True",
        "True",
        "True",
        "seasonal",
        "falls",
        "from",
        "3/s",
        "True",
        "True",
        "True",
        "True",
        "True",
        "True",
    ]


def test_a_package_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    """It is named, whatever the command, and nothing is played."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[testbed.faults]\nx = nowhere:Y\n")
    done = subprocess.run(
        [sys.executable, "-m", "testbed.entry", "scenarios"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("testbed: testbed.faults: x of broken can't be loaded: ")
