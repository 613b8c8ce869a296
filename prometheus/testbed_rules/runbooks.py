"""Links to runbooks: those of rules are relative, so that rules don't know where they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed_rules.timescale import Tree

RUNBOOK: Final = "runbook_url"


def with_runbooks(files: Mapping[str, Tree], locate: Callable[[str], str]) -> dict[str, Tree]:
    """The same rules with other links to runbooks.

    Args:
        files: file name to its content.
        locate: the link for what a rule says; is asked only of relative ones without a template.
    """
    return {
        name: {**document, "groups": [_group(group, locate) for group in document["groups"] or ()]}
        if document.get("groups")
        else document
        for name, document in files.items()
    }


def _group(group: Mapping[str, Any], locate: Callable[[str], str]) -> Tree:
    return {**group, "rules": [_rule(rule, locate) for rule in group.get("rules") or ()]}


def _rule(rule: Mapping[str, Any], locate: Callable[[str], str]) -> Tree:
    link = (rule.get("annotations") or {}).get(RUNBOOK)
    if not isinstance(link, str) or not link.strip() or "://" in link or "{{" in link:
        return dict(rule)
    return {**rule, "annotations": {**rule["annotations"], RUNBOOK: locate(link)}}
