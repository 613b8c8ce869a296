"""What the assertions of a scenario need of a run; misspelt names are found before it starts."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from testbed.alertneeds import alert_names
from testbed.errors import UsageError
from testbed.facts.configured import read_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from testbed.assertions import Assertion
    from testbed.scenario import Scenario


def refuse_unmet(
    scenario: Scenario, rules: Path, without: Collection[str], *, log_files: bool = True
) -> None:
    """Refuse assertions that can't hold, whatever happens in the run.

    Args:
        scenario: what is to be played.
        rules: folder of the rules.
        without: components that are left out.
        log_files: whether the components' log files will be among the run's.

    Raises:
        UsageError: an alert has no rule, a component is left out, or its log is out of reach.
    """
    if not scenario.assertions:
        return
    known = sorted(alert_names(read_groups(rules)))
    for each in scenario.assertions:
        for problem in _problems(each, known, without, log_files=log_files):
            raise UsageError(f"the scenario {scenario.name}, assertion {each.name}: {problem}")


def _problems(
    each: Assertion, known: Collection[str], without: Collection[str], *, log_files: bool
) -> Iterator[str]:
    for alert in each.alerts:
        if alert not in known:
            near = get_close_matches(alert, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            yield f"no rule alerts {alert}; {hint}"
    for component in each.components:
        if component in without:
            yield f"it needs {component}, which this run leaves out"
    if each.log_files and not log_files:
        yield (
            "log files of components are not to be had on a running stack: take source: records, "
            "or play it natively"
        )
