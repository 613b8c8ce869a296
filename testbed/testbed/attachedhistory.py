"""A stack that has answered before, as one that has played a scenario: a run begins anew on it.

What the API counted is taken off at the end (:mod:`testbed.facts.baseline`). Rows of before would
be in the drift job's windows, though, and its votes and decision would stand: it begins anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from sqlalchemy import func, select
from testbed_domain.logengine import create_log_engine, one_line
from testbed_domain.predictionlog import predictions
from testbed_drift.retraining.management import Management
from testbed_drift.storage import renewal
from testbed_drift.storage.reports import RUNS_FILE
from testbed_otel import names

from testbed.attachedrefusals import ANEW
from testbed.clients import loopback
from testbed.errors import UsageError
from testbed.facts.finalcounts import compared, parse_counters

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TIMEOUT: Final = 5.0
RENEWAL_TIMEOUT: Final = 180.0
"""Seconds: a run of the job that is under way ends first, and a start takes imports."""
LOOK: Final = 0.5
REPLICA_STARTS: Final = names.REPLICA_STARTS.prometheus


@dataclass(frozen=True, slots=True)
class EarlierAnswers:
    """What a stack did before.

    Attributes:
        rows: of its prediction log.
        newest: Unix time of the last of them; None where there is none.
        counted: sum of all that its API counted.
    """

    rows: int
    newest: float | None
    counted: int

    def __bool__(self) -> bool:
        """Whether it has answered at all."""
        return bool(self.rows or self.counted)


def read_history(log_url: str, serving: Iterable[str]) -> EarlierAnswers:
    """Ask the stack.

    Args:
        log_url: of its prediction log.
        serving: management address of each replica.

    Raises:
        UsageError: a replica does not answer.
        DomainError: the prediction log can't be read.
    """
    engine = create_log_engine(log_url, create=False)
    try:
        with one_line(engine.url), engine.connect() as connection:
            asked = select(func.count(), func.max(predictions.c.time)).select_from(predictions)
            rows, newest = connection.execute(asked).one()
    finally:
        engine.dispose()
    counted = 0
    for address in serving:
        try:
            reply = loopback.get(f"http://{address}/metrics", timeout=TIMEOUT)
            page = reply.raise_for_status().text
        except httpx.HTTPError as error:
            raise UsageError(
                f"the API's management port {address} fails ({error}): is the stack up?"
            ) from None
        served = (c for c in compared(parse_counters(page)) if c.metric != REPLICA_STARTS)
        counted += sum(count.value for count in served)
    return EarlierAnswers(int(rows), newest, counted)


def refuse_other_champion(serving: Iterable[str], version: str) -> None:
    """The version that the stack was started with answers still.

    Raises:
        UsageError: another one was made champion.
    """
    champion = Management(tuple(f"http://{address}" for address in serving)).champion()
    if champion not in {version, None}:
        raise UsageError(
            f"the API answers with the version {champion}, which replaced {version}: {ANEW}"
        )


def begin_anew(drift: Path, timeout: float = RENEWAL_TIMEOUT) -> float:
    """Have the drift job begin anew, and wait until its first run has ended.

    Args:
        drift: its output.
        timeout: seconds.

    Returns:
        Unix time from which on all that it writes, counts and exports is of the new beginning.

    Raises:
        UsageError: it can't be asked, or does not do it.
    """
    try:
        renewal.ask(drift)
    except OSError as error:
        raise UsageError(
            f"the drift job of this stack, which has answered before, can't be asked to begin anew "
            f"({error.strerror}): {ANEW}"
        ) from None
    deadline = time.monotonic() + timeout
    began: float | None = None
    while began is None or not (drift / RUNS_FILE).exists():
        if began is None and not renewal.requested(drift):
            began = time.time()
        if time.monotonic() >= deadline:
            (drift / renewal.REQUEST).unlink(missing_ok=True)
            raise UsageError(
                f"the drift job of this stack, which has answered before, did not begin anew in "
                f"{timeout:.0f} s (is it up?): {ANEW}"
            )
        time.sleep(LOOK)
    return began


def wait_for_empty_window(newest: float | None, seconds: float) -> None:
    """Wait until the last row of before is too old for a window of time.

    A row of the future, of a clock that was put back since, is waited for no longer than that.

    Args:
        newest: Unix time of that row.
        seconds: length of the window.
    """
    end = time.monotonic() + seconds
    while newest is not None and time.time() < newest + seconds and time.monotonic() < end:
        time.sleep(LOOK)
