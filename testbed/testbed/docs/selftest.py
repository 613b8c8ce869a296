"""The page of the self-test: every defect, and what came of it when all were last played."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import testbed.selftest
from testbed.docs.markdown import code, section, table
from testbed.selftest.defects import DEFECTS
from testbed.selftest.results import read_results, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.selftest.defect import Defect
    from testbed.selftest.results import Result

RESULTS: Final = Path(testbed.selftest.__file__).with_name("results.json")
"""Written by ``make selftest``."""


def selftest() -> str:
    """The page of defects and results."""
    results = {result.defect: result for result in read_results(RESULTS)}
    return section(
        "# Self-test",
        "`testbed selftest` plants these defects one at a time, plays the scenario that must "
        "notice, and demands that the verdict fails and names the right link first. "
        "Nothing is planted in the checkout. A new check is added with the defect that it is for "
        "(`testbed/testbed/selftest/defects/`).",
        f"{summary(tuple(results.values()))} when they were last played (`make selftest`); "
        f"{_unplayed(results)}"
        if results
        else "",
        *(
            section(
                f"## {kind.capitalize()}",
                table(
                    ("defect", "what is wrong", "scenario", "link", "result"),
                    (_row(defect, results.get(defect.name)) for defect in defects),
                ),
            )
            for kind, defects in DEFECTS.items()
        ),
    )


def _unplayed(results: Mapping[str, Result]) -> str:
    count = sum(each.name not in results for defects in DEFECTS.values() for each in defects)
    return (
        f"{count} have not been played since they were written." if count else "none is left out."
    )


def _row(defect: Defect, result: Result | None) -> tuple[str, ...]:
    links = " or ".join(map(str, defect.culprits))
    return code(defect.name), defect.what, code(defect.scenario), links, _outcome(result)


def _outcome(result: Result | None) -> str:
    if result is None:
        return "not played yet"
    if not result.found:
        return "not found"
    if result.refused is not None:
        return "refused before the load, with the reason"
    return "found and named" if result.named else f"found, {result.culprit} named first"
