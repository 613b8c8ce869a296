"""PromQL that users of other systems have, from ``prometheus/recipes.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from testbed_domain.yamlfile import read_yaml

from testbed.resources import root

FILE: Final = "prometheus/recipes.yml"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One expression.

    Attributes:
        system: whose, by the names of :data:`testbed_otel.aliases.ALIASES`.
        what: what it gives.
        expr: PromQL.
        containers: whether it needs the series of cAdvisor, which only Compose has.
    """

    preset: str
    what: str
    expr: str
    containers: bool = False


def read_recipes() -> list[Recipe]:
    """All recipes, in the file's order."""
    presets = read_yaml(root() / FILE)
    return [Recipe(preset, **entry) for preset, entries in presets.items() for entry in entries]
