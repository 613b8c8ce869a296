"""What checks say reads alike: a clause that stands behind their name and a colon."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import testbed.checks

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = sorted(Path(testbed.checks.__file__).parent.glob("*.py"))


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Strings of a module but for docstrings, and the descriptions of fields."""
    for node in ast.iter_child_nodes(tree):
        whole = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if whole or (isinstance(node, ast.keyword) and node.arg == "description"):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
        yield from texts(node)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.stem))
def test_no_summary_ends_with_a_full_stop(module: Path) -> None:
    """Neither where all is well, nor where something is wrong, nor where it is not applicable."""
    found = texts(ast.parse(module.read_text(encoding="utf-8")))
    assert not [f"{each.lineno}: {each.value!r}" for each in found if _ended(str(each.value))]


def _ended(text: str) -> bool:
    return text.endswith(".") and not text.endswith("..")
