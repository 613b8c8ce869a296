"""The Prefect flow and its task, and the Dask workers that do it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import distributed
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed
from prefect_dask import DaskTaskRunner

from testbed_drift.evaluation.results import RunResult
from testbed_drift.flow.cluster import ClusterWorkers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.states import State

    from testbed_drift.flow.comparison import MonthComparison

FLOW: Final = "drift, month against month"


@dataclass(frozen=True, slots=True)
class PlayedFlow:
    """A comparison that was made.

    Attributes:
        result: what it came to.
        workers: addresses of the workers that made it, its segments included; none where that is
            not known.
    """

    result: RunResult
    workers: frozenset[str] = frozenset()


@task(  # type: ignore[untyped-decorator] # Prefect isn't in every environment
    name="compare",
    task_run_name="{label}",
    cache_policy=NO_CACHE,  # the log changes, the parameters don't
    persist_result=False,
)
def compare(comparison: MonthComparison, label: str) -> State[PlayedFlow]:  # noqa: ARG001 - names the run
    """One comparison; the name of its state is the decision."""
    cluster = ClusterWorkers()
    result = comparison.run(cluster)
    played = PlayedFlow(result, frozenset({distributed.get_worker().address, *cluster.used}))
    if result.outcome == "error":
        return Failed(message=result.message, data=played)
    name = str(result.finding.decision.action) if result.finding else result.outcome
    return Completed(name=name, message=result.message, data=played)


@flow(name=FLOW, validate_parameters=False, persist_result=False)  # type: ignore[untyped-decorator] # as above
def months(comparisons: Sequence[MonthComparison]) -> State[list[PlayedFlow]]:
    """All comparisons at once, in the order given; one that fails leaves the others alone."""
    futures = [compare.submit(one, one.name) for one in comparisons]
    played = [_result(one, future) for one, future in zip(comparisons, futures, strict=True)]
    return Completed(data=played)


def _result(comparison: MonthComparison, future: Any) -> PlayedFlow:  # noqa: ANN401 - generic in the result
    started = time.time()
    try:
        found = future.result(raise_on_failure=False)
    except Exception as error:  # noqa: BLE001 - a worker that died again and again, for example
        found = error
    if isinstance(found, PlayedFlow):
        return found
    message = f"{type(found).__name__}: {' '.join(str(found).split())}"
    return PlayedFlow(RunResult(comparison.model_version, "error", started, 0.0, message))


def play(
    comparisons: Sequence[MonthComparison], workers: int, scheduler: str | None
) -> list[PlayedFlow]:
    """Make all comparisons.

    Args:
        comparisons: what to compare.
        workers: processes on this machine; where a scheduler is given it has its own.
        scheduler: address of a Dask scheduler; None starts one here for this flow.
    """
    if scheduler:
        runner = DaskTaskRunner(address=scheduler)
    else:
        runner = DaskTaskRunner(
            cluster_kwargs={
                "n_workers": workers,
                "threads_per_worker": 1,
                "host": "127.0.0.1",
                "dashboard_address": "127.0.0.1:0",
            }
        )
    found: list[PlayedFlow] = months.with_options(task_runner=runner)(comparisons)
    return found
