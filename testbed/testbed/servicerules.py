"""The rules of a run that tests a service of one's own: its rules beside the shipped ones.

Of the shipped rules those that select the bundled API are left out: to them, it would be down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed_otel import names
from testbed_rules.rulefiles import read_rules

from testbed.errors import UsageError
from testbed.facts.selectors import selectors
from testbed.rulecheck import write_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed_rules.timescale import Tree


def write_service_rules(shipped: Path, own: Mapping[str, Tree], folder: Path) -> tuple[str, ...]:
    """Write the rules files of such a run.

    Args:
        shipped: folder of the shipped rules.
        own: file name to content of the service's rules.
        folder: to write into.

    Returns:
        Names of the shipped alerts that are left out.

    Raises:
        UsageError: a rules file can't be read, or has the name of another one.
    """
    documents = read_rules(shipped)
    files = {name: without_bundled(document) for name, document in documents.items()}
    for name, document in own.items():
        if name in files:
            raise UsageError(f"{name} is the name of a shipped rules file: rename yours")
        files[name] = document
    write_rules(folder, files)
    left_out = (
        rule.get("alert") or rule["record"]
        for document in documents.values()
        for group in document.get("groups") or ()
        for rule in group.get("rules") or ()
        if _of_bundled_api(rule)
    )
    return tuple(dict.fromkeys(left_out))


def without_bundled(document: Tree) -> Tree:
    """A rules file without the rules that select the bundled API."""
    groups = (
        {**group, "rules": [r for r in group.get("rules") or () if not _of_bundled_api(r)]}
        for group in document.get("groups") or ()
    )
    return {**document, "groups": [group for group in groups if group["rules"]]}


def _of_bundled_api(rule: Mapping[str, Any]) -> bool:
    """Whether a rule selects the bundled API by its job."""
    return any(
        (matcher.label, matcher.operator, matcher.value) == ("job", "=", names.JOB_API)
        for selector in selectors(rule["expr"])
        for matcher in selector.matchers
    )
