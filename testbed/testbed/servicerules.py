"""The rules of a run that tests a service of one's own: its rules beside the shipped ones.

Of the shipped rules those that select the bundled API are left out: to them, it would be down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from testbed_domain.files import write_atomic
from testbed_otel import names
from testbed_rules.lint import read_rules

from testbed.errors import UsageError
from testbed.facts.selectors import selectors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed_rules.timescale import Tree


def write_service_rules(shipped: Path, own: Path | None, folder: Path) -> tuple[str, ...]:
    """Write the rules files of such a run.

    Args:
        shipped: folder of the shipped rules.
        own: folder of the service's rules; None where it has none.
        folder: to write into.

    Returns:
        Names of the shipped alerts that are left out.

    Raises:
        UsageError: a rules file can't be read, or has the name of another one.
    """
    left_out: list[str] = []
    files = {
        name: _without_bundled(document, left_out) for name, document in read_rules(shipped).items()
    }
    for name, document in {} if own is None else read_rules(own).items():
        if name in files:
            raise UsageError(f"{own}/{name} has the name of a shipped rules file: rename it")
        files[name] = document
    for name, document in files.items():
        write_atomic(folder / name, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return tuple(dict.fromkeys(left_out))


def _without_bundled(document: Tree, left_out: list[str]) -> Tree:
    groups = []
    for group in document.get("groups") or ():
        rules = []
        for rule in group.get("rules") or ():
            if of_bundled_api(rule):
                left_out.append(rule.get("alert") or rule["record"])
            else:
                rules.append(rule)
        if rules:
            groups.append({**group, "rules": rules})
    return {**document, "groups": groups}


def of_bundled_api(rule: Mapping[str, Any]) -> bool:
    """Whether a rule selects the bundled API by its job."""
    return any(
        (matcher.label, matcher.operator, matcher.value) == ("job", "=", names.JOB_API)
        for selector in selectors(rule["expr"])
        for matcher in selector.matchers
    )
