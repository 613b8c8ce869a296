"""PromQL that users of other systems have, from ``prometheus/recipes.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import yaml

from testbed.resources import root

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
    systems = yaml.safe_load((root() / FILE).read_text(encoding="utf-8"))
    return [Recipe(system, **entry) for system, entries in systems.items() for entry in entries]
