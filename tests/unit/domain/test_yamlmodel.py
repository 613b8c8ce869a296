"""YAML files that a model describes: mistakes with their lines and the nearest right word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from testbed_domain.errors import UsageError
from testbed_domain.yamlmodel import read_model

if TYPE_CHECKING:
    from pathlib import Path


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Late(_Strict):
    kind: Literal["latency"]
    seconds: float


class _Gone(_Strict):
    kind: Literal["kill"]
    component: Literal["api", "collector"]


class _Step(_Strict):
    name: str
    rate: float = 1.0
    faults: tuple[Annotated[_Late | _Gone, Field(discriminator="kind")], ...] = ()


class _Plan(_Strict):
    title: str
    steps: tuple[_Step, ...]
    labels: dict[str, str] = {}


GOOD = """\
title: t
steps:
  - name: one
  - name: two
    rate: 5
    faults:
      - kind: latency
        seconds: 1
      - {kind: kill, component: api}
"""


def read(path: Path, text: str) -> _Plan:
    """The plan in a file."""
    path.write_text(text)
    return read_model(path, "the plan", _Plan.model_validate, _Plan.model_json_schema)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place for the plan."""
    return tmp_path / "plan.yaml"


def test_a_good_file(file: Path) -> None:
    """It is what it says."""
    assert [step.rate for step in read(file, GOOD).steps] == [1, 5]


@pytest.mark.parametrize(
    ("old", "new", "line", "wanted"),
    [
        ("title: t", "tilte: t", 1, "unknown field: tilte; did you mean title?"),
        ("rate: 5", "rte: 5", 5, "unknown field: steps[1].rte; did you mean rate?"),
        ("rate: 5", "rate: fast", 5, "steps[1].rate must be a number, not 'fast'"),
        ("  - name: one", "  - rate: 3", 3, "steps[0].name is missing"),
        ("kind: latency", "kind: latncy", 7, "not 'latncy'; did you mean latency?"),
        ("seconds: 1", "secnds: 1", 8, "secnds; did you mean seconds?"),
        ("component: api", "component: colector", 9, "not 'colector'; did you mean collector?"),
        ("title: t", "title: t\nlabels: {a: {b: c}}", 2, "labels.a must be a text"),
    ],
)
def test_a_mistake_has_its_line_and_the_nearest_word(
    file: Path, old: str, new: str, line: int, wanted: str
) -> None:
    """File, line, field, and what may have been meant."""
    with pytest.raises(UsageError) as caught:
        read(file, GOOD.replace(old, new, 1))
    found = [each for each in str(caught.value).splitlines() if wanted in each]
    assert [each.startswith(f"{file}:{line}: ") for each in found] == [True], str(caught.value)


def test_all_mistakes_at_once_in_the_order_of_lines(file: Path) -> None:
    """One run of the command is enough to mend a file."""
    text = GOOD.replace("rate: 5", "rte: 5").replace("title", "tilte").replace("api", "apu")
    with pytest.raises(UsageError) as caught:
        read(file, text)
    lines = [int(each.split(":")[1]) for each in str(caught.value).splitlines()]
    assert lines == [1, 1, 5, 9]


@pytest.mark.parametrize("text", ["", "- a\n", "title: t\n---\ntitle: u\n"])
def test_what_is_no_such_file_is_refused(file: Path, text: str) -> None:
    """Empty, of another form, or several in one."""
    with pytest.raises(UsageError, match=r"plan\.yaml"):
        read(file, text)


def test_keys_are_words(tmp_path: Path) -> None:
    """`on`, `off` and `yes` as well; values stay what they are."""
    plan = read(tmp_path / "plan.yaml", f"{GOOD}labels: {{on: a, OFF: b, yes: c, true: d}}\n")
    assert plan.labels == {"on": "a", "OFF": "b", "yes": "c", "true": "d"}
    with pytest.raises(UsageError, match=r"labels\.on"):
        read(tmp_path / "plan.yaml", f"{GOOD}labels: {{on: on}}\n")
