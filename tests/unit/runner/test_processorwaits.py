"""A process that others keep from running is seen to wait; one that sleeps or computes is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from testbed.processorwaits import ProcessorWaits, waited_for_others

from tests.support.polling import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND: Final = 10**9
BUSY: Final = "import os; os.sched_setaffinity(0, {{{cpu}}})\nprint(flush=True)\nwhile True: pass"
IDLE: Final = "import time\nprint(flush=True)\ntime.sleep(3600)"


def test_what_a_thread_waits_for_its_own_process_is_not_counted() -> None:
    """In proportion to what the process itself used of the processors."""
    before = {1: (0, 0), 2: (0, 0)}

    def waited(now: dict[int, tuple[int, int]]) -> float:
        return waited_for_others(now, before, 1.0, processors=2)

    assert waited({1: (0, SECOND), 2: (0, 0)}) == pytest.approx(1.0)
    assert waited({1: (SECOND, SECOND), 2: (SECOND, 0)}) == 0.0
    assert waited({1: (SECOND // 2, SECOND), 2: (SECOND // 2, SECOND)}) == pytest.approx(0.5)
    assert waited({1: (0, 3 * SECOND)}) == pytest.approx(1.0), "no longer than the step"
    assert waited({3: (0, SECOND)}) == 0.0, "it may have waited before the step"
    assert waited({}) == 0.0
    assert waited_for_others(before, before, 0.0, processors=2) == 0.0


@pytest.fixture
def started() -> Iterator[ExitStack]:
    """Ends what it started."""
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, program: str) -> int:
    """A program that has said that it runs, in a session of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    assert process.stdout is not None
    process.stdout.readline()
    return process.pid


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system counts no waits")
@pytest.mark.slow
def test_only_who_wants_a_processor_and_has_none_waits(started: ExitStack) -> None:
    """Three share one processor; what sleeps beside them waits for nothing."""
    busy = BUSY.format(cpu=min(os.sched_getaffinity(0)))
    crowd = {f"busy-{number}": start(started, busy) for number in range(3)}
    waits = ProcessorWaits(lambda: crowd | {"idle": start_idle})
    start_idle = start(started, IDLE)
    seen: dict[str, float] = {}
    last = time.monotonic()

    def all_waited() -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.5:
            for name, seconds in waits.since(now - last).items():
                seen[name] = seen.get(name, 0.0) + seconds
            last = now
        return set(crowd) <= set(seen)

    wait_for(all_waited, what=lambda: f"waits: {seen}")
    assert "idle" not in seen
