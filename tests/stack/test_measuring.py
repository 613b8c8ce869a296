"""What a service bears, and what its telemetry costs, by the commands of the pages on them."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.typedpage import blocks_of, spans_of, typed_in, variables_in

if TYPE_CHECKING:
    from tests.support.commandline import CommandLine
    from tests.support.loads import Start

CAPACITY, OVERHEAD, LOADS = (
    f"how-to/{name}.md" for name in ("measure-capacity", "measure-overhead", "more-load")
)
EXAMPLE = Path(__file__).parents[2] / "examples" / "flask-service"
# The variant that writes down that it was started, and how.
BARE = """\
import os, pathlib, runpy
pathlib.Path("bare").write_text(os.environ["METRICS"])
runpy.run_path("app.py", run_name="__main__")
"""
# A search that ends with its first step, as quickly as it can.
ONE_STEP = ("--step", "1", "--start", "40", "--max-rate", "40", "--out", "found")


def pattern_of(shown: str) -> re.Pattern[str]:
    """What prints a line of a page with other numbers, bars and widths; at its end it may go on."""
    parts = [re.escape(word) for word in re.split(r"\s+|[█▓]+", shown) if word]
    text = r"[\s█▓]+".join(re.sub(r"\d+(\\\.\d+)?", r"[\\d.]+", part) for part in parts)
    return re.compile(rf"^\s*{text}", re.MULTILINE)


def shows_what_the_page_shows(output: str) -> None:
    """The heading, a step that held, and the sentence of the page's own search."""
    (table,) = (body for body in blocks_of(CAPACITY, "") if "p99" in body)
    heading, held, *_, sentence = table.splitlines()
    assert pattern_of(heading).search(output), output
    assert re.search(r"\d+/s +[\d.]+% +[\d.]+ m?s +[\d.]+ m?s +█+", output), output
    assert re.match(r"\d+/s +[\d.]+% +[\d.]+ m?s +[\d.]+ m?s +█+", held)
    assert pattern_of(sentence.partition(", ")[0]).search(output), output


def test_the_capacity_of_a_service_that_runs(command_line: CommandLine, serve: Start) -> None:
    """Two processes send; a capacity below the one that is asked for is exit code 1."""
    (least,) = (each for each in spans_of(CAPACITY) if each.startswith("--min-capacity"))
    command_line.environment |= variables_in(LOADS, "testbed capacity")
    own = {"http://10.0.0.9:8000": serve().url}
    typed = typed_in(LOADS, "testbed capacity", own)
    result = command_line.run(*typed, *ONE_STEP, *least.split())
    assert result.code == 1, result.output
    shows_what_the_page_shows(result.output)
    found = json.loads((result.out / "capacity.json").read_text())
    assert found["capacity"] == 40 < float(least.split()[1])
    assert (result.out / "capacity.html").is_file()
    assert "more was not tried" in result.output
    assert list(result.out.glob("step-*/requests.jsonl")), "the truth of each step"


@pytest.mark.long
def test_the_capacity_of_a_stack_of_its_own(command_line: CommandLine) -> None:
    """A whole stack is started, asked and stopped."""
    result = command_line.run(*typed_in(CAPACITY, "testbed capacity"), *ONE_STEP)
    assert result.code == 0, result.output
    assert "capacity: starting the stack" in result.output
    shows_what_the_page_shows(result.output)


@pytest.mark.long
def test_what_the_telemetry_of_a_service_costs(command_line: CommandLine) -> None:
    """Both ways of starting it are measured, in turns, and every measurement is written down."""
    shop = Path(shutil.copytree(EXAMPLE, command_line.folder / "shop"))
    (other_way,) = blocks_of(OVERHEAD, "yaml")
    file = shop / "service.yaml"
    file.write_text(f"{file.read_text()}{other_way}")
    (shop / "bare.py").write_text(BARE)
    command_line.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    typed = typed_in(OVERHEAD, "--service service.yaml", {"service.yaml": str(file)})
    short = ("--rounds", "2", "--seconds", "1", "--warm-up", "1", "--out", "found")
    result = command_line.run(*typed, *short)
    assert result.code == 0, result.output
    text = (result.out / "overhead.json").read_text()
    assert text.strip() in result.output, "--json prints what is written"
    found = json.loads(text)
    assert (found["service"], found["load"], found["rounds"]) == ("shop", "4 users", 2)
    turns = [(each["round"], each["telemetry"]) for each in found["measurements"]]
    assert turns == [(0, True), (0, False), (1, False), (1, True)]
    assert all(each["throughput"] > 0 == each["failed"] for each in found["measurements"])
    assert (shop / "bare").read_text() == "off"
