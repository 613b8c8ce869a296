"""Scrape jobs under the names that another system gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel.aliases import jobs_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed_rules.timescale import Tree

NOTHING_BUT_UP: Final = {"action": "drop", "source_labels": ["__name__"], "regex": ".+"}
"""Relabelling after which a job has ``up`` and the ``scrape_*`` series, which don't pass there."""


def with_job_names(prometheus: Tree, system: str, own: Iterable[Tree] = ()) -> Tree:
    """A configuration in which some jobs have another name as well.

    What is scraped bears the other name, so that nothing is stored twice; ``up`` has both.

    Args:
        prometheus: the configuration.
        system: whose names they are, as in :data:`testbed_otel.aliases.JOBS`; empty for none.
        own: jobs of the user, whose names stay theirs.

    Raises:
        AliasError: the system has no names of its own.
    """
    jobs, taken = jobs_of(system), {str(job["job_name"]) for job in own}
    found: list[Tree] = []
    for job in prometheus["scrape_configs"]:
        other = jobs.get(job["job_name"])
        if other is None or other in taken:
            found.append(job)
        else:
            found += [job | {"metric_relabel_configs": [NOTHING_BUT_UP]}, job | {"job_name": other}]
    return prometheus | {"scrape_configs": found}
