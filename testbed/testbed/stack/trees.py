"""Configuration files as trees of YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import yaml
from testbed_domain.files import write_atomic
from testbed_domain.yamlfile import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_rules.timescale import Tree


def read_tree(path: Path) -> Tree:
    """Read a tree of YAML."""
    return cast("Tree", read_yaml(path))


def write_yaml(path: Path, document: Tree) -> None:
    """Write a tree of YAML."""
    text = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=1000
    )
    write_atomic(path, text)
