"""A user's rules before anything starts: checked by promtool, fitted to the time scale, written."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_rules.metricsql import FUNCTIONS
from testbed_rules.rulefiles import RuleMistake, read_rule_set, refuse
from testbed_rules.scaling import FittingRules, RuleNote, fitting_rules

from testbed.stack.asking import ask_tool
from testbed.stack.build import find
from testbed.stack.environments import EXPORT_INTERVAL
from testbed.stack.trees import write_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from testbed_rules.rulefiles import RuleSet
    from testbed_rules.timescale import Tree

    from testbed.stack.build import Tools

_PROMTOOL: Final = "promtool"
# "FILE: 5:9: group "g", rule 1, "Name": what is wrong", of which the places may be missing.
_OF_RULE: Final = re.compile(
    r'^(?P<file>.+?\.yml): (?:\d+:\d+: ){0,2}group "(?P<group>(?:[^"\\]|\\.)*)", '
    r'rule (?P<number>\d+), "(?P<rule>(?:[^"\\]|\\.)*)": (?P<reason>.*)$'
)
_OF_FILE: Final = re.compile(r"^(?P<file>.+?\.yml): (?:\d+:\d+: )?(?P<reason>.*)$")
_UNKNOWN_FUNCTION: Final = re.compile(r'unknown function with name "([^"]+)"')


@dataclass(frozen=True, slots=True)
class PromtoolOutcome:
    """What promtool says of rules.

    Attributes:
        mistakes: what keeps Prometheus from loading them.
        foreign: rules that only VictoriaMetrics evaluates.
    """

    mistakes: tuple[RuleMistake, ...]
    foreign: tuple[RuleNote, ...]


def ask_promtool(rules: RuleSet, tools: Tools) -> PromtoolOutcome:
    """Have promtool check rules, with the lines of the files that they were read from."""
    if not rules.files:
        return PromtoolOutcome((), ())
    with tempfile.TemporaryDirectory(prefix="testbed-rules-") as made:
        folder = Path(made)
        write_rules(folder, rules.documents)
        files = sorted(folder.glob("*.yml"))
        done = ask_tool([tools.path(_PROMTOOL), "check", "rules", "--lint=none", *files])
    if done.returncode == 0:
        return PromtoolOutcome((), ())
    return read_outcome(done.stderr, rules)


def read_outcome(said: str, rules: RuleSet) -> PromtoolOutcome:
    """What promtool wrote on its error output, in terms of the files that were read."""
    mistakes: list[RuleMistake] = []
    foreign: list[RuleNote] = []
    for line in said.splitlines():
        if found := _OF_RULE.match(line):
            name = found["file"].rpartition("/")[2]
            group, index = _unquoted(found["group"]), int(found["number"]) - 1
            rule, reason = _unquoted(found["rule"]), " ".join(found["reason"].split())
            unknown = _UNKNOWN_FUNCTION.search(reason)
            if unknown and unknown[1] in FUNCTIONS:
                why = f"{unknown[1]} is a function of VictoriaMetrics that Prometheus lacks"
                foreign.append(RuleNote(name, group, rule, index, why))
                continue
            file = rules.files[name]
            at = file.lines.get((group, index), 0)
            mistakes.append(RuleMistake(file.path, at, f"{rule or 'a rule'}: {reason}"))
        elif (found := _OF_FILE.match(line)) and (
            file_of := rules.files.get(found["file"].rpartition("/")[2])
        ):
            mistakes.append(RuleMistake(file_of.path, 0, found["reason"]))
    if not mistakes and not foreign:
        path = next(iter(rules.files.values())).path
        mistakes.append(RuleMistake(path, 0, " ".join(said.split()) or "promtool refuses it"))
    return PromtoolOutcome(tuple(mistakes), tuple(foreign))


def read_own_rules(path: Path | None, *, prefer_path: bool) -> RuleSet:
    """Read rules; their mistakes are left to :func:`fit_rules`, with those that promtool finds.

    Raises:
        UsageError: there are none; or they have mistakes, and promtool would have to be compiled
            before they could be said.
    """
    rules = read_rule_set(path)
    if rules.mistakes and _PROMTOOL in find(prefer_path=prefer_path).missing:
        refuse(rules.mistakes)
    return rules


def fit_rules(
    rules: RuleSet, tools: Tools, factor: float, say: Callable[[str], None]
) -> FittingRules:
    """Check rules, and set aside what can't be played at a time scale.

    Args:
        rules: as they were read.
        tools: compiled tools.
        factor: time scale of the run.
        say: is notified of what is not played as it is written.

    Raises:
        UsageError: Prometheus would not load them; a line for each mistake, with file and line.
    """
    outcome = ask_promtool(rules, tools)
    mistakes = (*rules.mistakes, *outcome.mistakes)
    refuse(sorted(mistakes, key=lambda each: (str(each.path), each.line)))
    fitting = fitting_rules(
        rules.documents, interval=EXPORT_INTERVAL, factor=factor, foreign=outcome.foreign
    )
    for line in (*rules.notes, *_lines(fitting)):
        say(f"rules: {line}")
    return fitting


def _lines(fitted: FittingRules) -> Iterator[str]:
    for note in fitted.aside:
        yield f"set aside: {note}"
    yield from map(str, fitted.unscaled)
    if fitted.divided:
        names = ", ".join(dict.fromkeys(note.rule for note in fitted.divided))
        yield (
            f"plain numbers of {len(fitted.divided)} rules count seconds, or events in a range, "
            f"and are divided by the time scale: {names}"
        )


def write_rules(folder: Path, files: Mapping[str, Tree]) -> None:
    """Write rules files."""
    for name, document in files.items():
        write_yaml(folder / name, document)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
