"""The page of the files, from the layout of a run and the settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from testbed.active import ACTIVE_FILE
from testbed.docs.markdown import code, first_paragraph, section, table
from testbed.layout import LAYOUT_VERSION, RunLayout
from testbed.settings import Settings

ROOT: Final = Path("root")


def files() -> str:
    """The page."""
    return section(
        "# Files",
        "## Home",
        "`.testbed/` in the working directory, or what `TESTBED_HOME` says.",
        table(
            ("path", "what"),
            [
                *_paths(Settings, Settings.model_construct(home=ROOT)),
                (code("prediction-log.db"), "Prediction log of `testbed serve`."),
            ],
        ),
        "## Run",
        f"One folder per run, `runs/ID`; layout version {LAYOUT_VERSION}. A file under its final "
        "name is whole: it is moved there, or grows by whole lines (`*.jsonl`).",
        table(
            ("path", "what"),
            [
                *_paths(RunLayout, RunLayout(ROOT)),
                (code(ACTIVE_FILE), "Only while the stack runs: its processes and their URLs."),
            ],
        ),
        "`verdict.json` follows [a schema](verdict.schema.json), and a scenario does "
        "([schema](scenario.schema.json)). What truth and load plan hold stands in "
        "[the architecture](../architecture.md#seams).",
    )


def _paths(owner: type, instance: object) -> Iterator[tuple[str, str]]:
    """Every path that is a property, below the root, and its docstring."""
    for name, member in vars(owner).items():
        if isinstance(member, property):
            path = getattr(instance, name)
            yield code(path.relative_to(ROOT).as_posix()), first_paragraph(member.fget)
