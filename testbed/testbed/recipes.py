"""PromQL that users of other systems have, from ``prometheus/recipes.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from testbed.resources import root
from testbed.yamlfile import read_yaml

FILE: Final = "prometheus/recipes.yml"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One expression.

    Attributes:
        system: whose, ``a`` to ``e``.
        what: what it gives.
        expr: PromQL.
        containers: whether it needs the series of cAdvisor, which only Compose has.
    """

    system: str
    what: str
    expr: str
    containers: bool = False


def read_recipes() -> list[Recipe]:
    """All recipes, in the file's order."""
    systems = read_yaml(root() / FILE)
    return [Recipe(system, **entry) for system, entries in systems.items() for entry in entries]
