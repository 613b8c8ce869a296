"""Edits of a run's rendered configuration, each of which says so where it finds nothing to edit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from testbed_domain.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Tree: TypeAlias = dict[str, Any]
if TYPE_CHECKING:
    Edit: TypeAlias = Callable[[Path], None]
    Change: TypeAlias = Callable[[Tree], None]


def below(name: str, edit: Edit) -> Edit:
    """An edit of a folder within the one that is given."""
    return lambda folder: edit(folder / name)


def document(name: str, change: Change) -> Edit:
    """Change one YAML file of the configuration in place."""

    def edit(folder: Path) -> None:
        path = folder / name
        tree = read_yaml(path)
        change(tree)
        path.write_text(yaml.safe_dump(tree, sort_keys=False, width=1000), encoding="utf-8")

    return edit


def alertmanager(change: Change) -> Edit:
    """Change ``alertmanager.yml``."""
    return document("alertmanager.yml", change)


def prometheus(change: Change) -> Edit:
    """Change ``prometheus.yml``."""
    return document("prometheus.yml", change)


def collector(change: Change) -> Edit:
    """Change ``collector.yaml``."""
    return document("collector.yaml", change)


def panel(board: str, title: str, old: str, new: str) -> Edit:
    """Replace a text in the first query of a panel of a dashboard.

    Raises:
        LookupError: the panel has no such query.
    """

    def edit(folder: Path) -> None:
        path = folder / "dashboards" / f"{board}.json"
        tree = json.loads(path.read_text(encoding="utf-8"))
        for each_panel in tree["panels"]:
            for target in each_panel.get("targets") or ():
                if each_panel["title"] == title and old in target["expr"]:
                    target["expr"] = target["expr"].replace(old, new)
                    path.write_text(json.dumps(tree), encoding="utf-8")
                    return
        raise LookupError(f"no query of the panel {title!r} holds {old!r}")

    return edit


def rule(alert: str, change: Change) -> Edit:
    """Change every rule of an alert in place.

    Raises:
        LookupError: there is none.
    """

    def edit(folder: Path) -> None:
        found = 0
        for path in sorted((folder / "rules").glob("*.yml")):
            tree = read_yaml(path)
            for group in tree["groups"]:
                for each_rule in group["rules"]:
                    if each_rule.get("alert") == alert:
                        change(each_rule)
                        found += 1
            path.write_text(yaml.safe_dump(tree, sort_keys=False, width=1000), encoding="utf-8")
        if not found:
            raise LookupError(f"no rule of the alert {alert} is there to be changed")

    return edit


def without_rule(alert: str) -> Edit:
    """Remove every rule of an alert."""

    def edit(folder: Path) -> None:
        for path in sorted((folder / "rules").glob("*.yml")):
            tree = read_yaml(path)
            for group in tree["groups"]:
                group["rules"] = [r for r in group["rules"] if r.get("alert") != alert]
            path.write_text(yaml.safe_dump(tree, sort_keys=False, width=1000), encoding="utf-8")

    return edit


def expression(alert: str, old: str, new: str) -> Edit:
    """Replace a text in the expressions of an alert.

    Raises:
        LookupError: the text is in none of them.
    """
    changed: list[bool] = []

    def change(entry: Tree) -> None:
        changed.append(old in entry["expr"])
        entry["expr"] = entry["expr"].replace(old, new)

    replace = rule(alert, change)

    def edit(folder: Path) -> None:
        changed.clear()
        replace(folder)
        if not any(changed):
            raise LookupError(f"no expression of the alert {alert} holds {old!r}")

    return edit


def annotation(alert: str, name: str, text: str) -> Edit:
    """Give an alert's annotation another text."""
    return rule(alert, lambda entry: entry["annotations"].update({name: text}))


def label(alert: str, name: str, text: str) -> Edit:
    """Give an alert's label another text."""
    return rule(alert, lambda entry: entry["labels"].update({name: text}))
