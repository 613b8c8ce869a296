"""Names use the words of the field: modules, classes, functions, constants, metrics and options."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from testbed.cli import command_tree
from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (
    *("alertmanager/testbed_receiver", "api/testbed_api", "domain/testbed_domain"),
    *("drift/testbed_drift", "grafana/testbed_grafana", "loadtest/testbed_load"),
    *("otel/testbed_otel", "prometheus/testbed_rules", "testbed/testbed"),
    "tools/pytest-plugin/pytest_testbed",
)
INSTEAD: Final = {
    "alarm": "alert (of a timer: timer)",
    "asked": "request",
    "become": "exec",
    "bury": "reap",
    "cell": "child",
    "cells": "children",
    "chooser": "sampler",
    "family": "metric family",
    "families": "metric families",
    "fleet": "multi-version job",
    "gatherer": "batcher",
    "judge": "evaluate",
    "judging": "evaluation",
    "keeping": "storage, retention or cache",
    "kept": "stored, retained or cached",
    "least": "minimum",
    "most": "maximum or limit",
    "part": "component",
    "parts": "components",
    "patience": "timeout",
    "rang": "fired",
    "room": "package or component (of a limit: capacity)",
    "share": "ratio",
    "shares": "ratios",
    "shortcut": "fast path",
    "succession": "champion tracker",
    "tell": "report",
    "tells": "reports",
    "told": "reported",
    "whoever": "caller",
}
"""Word of the left column to what is written in its place."""

EXCEPTIONS: Final = {
    # "part" of something else than the stack
    "_Part": "a part of a batch, or of a JSON document",
    "_part": "a part of a text or a body",
    "_parts": "parts of an expression",
    "answer_parts": "the parts of one request in a batch",
    "file_part": "the part of a file name that a window has",
    "part": "a part of the rows of a window",
    "parts": "pieces of a table that is read in pieces",
    "get_fingerprint_parts": "overrides Evidently's method of this name",
    # a share that others name so
    "alert-share": "the option of the drift job: a share of drifted columns, as Evidently says",
    "retrain-share": "beside alert-share",
    # cells of tables
    "_cell": "a cell of a Markdown table",
    "cells": "cells of a printed table",
    # metric families, as prometheus_client has them
    "_MetricFamily": "base of both",
    "SumMetricFamily": "of sums",
    "HistogramMetricFamily": "of histograms",
    # room on a disk
    "make_room": "ends a fault that fills a disk",
    # what a query or a user asked for
    "_asked": "the question that was put to a database or to a service",
}
"""Name to why it may stand. One that is no longer used fails."""


def words(name: str) -> list[str]:
    """Words of a name in snake, kebab, dotted or camel case."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)


@cache
def modules() -> dict[Path, ast.Module]:
    """Each module of all packages; read once."""
    return {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def definitions(node: ast.AST) -> Iterator[Definition]:
    """Classes and functions below a node, nested ones too; there are none in an expression."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        if not isinstance(child, ast.expr):
            yield from definitions(child)


def constants(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Names that a module gives to values in capitals, and their lines."""
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                yield target.id, node.lineno


def options(command: Any) -> Iterator[str]:  # noqa: ANN401 - of typer's own copy of click
    """Names of commands and of their options, without dashes before them."""
    for parameter in command.params:
        yield from (text.lstrip("-") for text in (*parameter.opts, *parameter.secondary_opts))
    for name, each in getattr(command, "commands", {}).items():
        yield name
        yield from options(each)


@cache
def named() -> list[tuple[str, str]]:
    """Each name, and where it stands."""
    return list(_named())


def _named() -> Iterator[tuple[str, str]]:
    for path, module in modules().items():
        where = str(path.relative_to(ROOT))
        yield path.stem, where
        yield from ((node.name, f"{where}:{node.lineno}") for node in definitions(module))
        yield from ((name, f"{where}:{line}") for name, line in constants(module))
    yield from ((metric.name, "a metric") for metric in names.METRICS)
    yield from ((name, "the command line") for name in options(command_tree()))


def wrong(name: str) -> list[str]:
    """Words of the left column in a name."""
    return [word.lower() for word in words(name) if word.lower() in INSTEAD]


@pytest.mark.slow
def test_names_use_the_words_of_the_field() -> None:
    """A new name with another word fails, and the message says what to write."""
    found = [
        f"{where}: {name}: write {INSTEAD[word]} for {word}"
        for name, where in named()
        if name not in EXCEPTIONS
        for word in wrong(name)
    ]
    assert not found, "\n".join(found)


def test_no_exception_is_left_over() -> None:
    """An exception whose name is gone goes too."""
    used = {name for name, _ in named() if wrong(name)}
    assert set(EXCEPTIONS) <= used, set(EXCEPTIONS) - used


def test_classes_have_names_of_their_own() -> None:
    """No public class name stands twice over all packages."""
    defined = Counter(
        node.name
        for module in modules().values()
        for node in definitions(module)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert not [name for name, count in defined.items() if count > 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("KeptRows", ["kept"]), ("ml.drift.share", ["share"]), ("SHARES", ["shares"]), ("apart", [])],
)
def test_words_are_found_in_every_case(name: str, expected: list[str]) -> None:
    """Camel, snake, dotted and constant names; words are whole ones."""
    assert wrong(name) == expected
