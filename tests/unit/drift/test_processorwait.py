"""For how long no processor was free for the job: by the kernel's own count."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest
from testbed_drift.jobs import processorwait
from testbed_drift.jobs.processorwait import ProcessorWait, waited

from tests.support.polling import wait_for

from .conftest import Bench


def test_each_question_is_answered_since_the_one_before() -> None:
    """The first one since the count was made."""
    seen = iter([5.0, 7.5, 7.5, 8.0])
    wait = ProcessorWait(lambda: next(seen))
    assert [wait.since() for _ in range(3)] == [2.5, 0.0, 0.5]


def test_what_the_system_does_not_say_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing to read, or nothing that can be understood."""
    for text in (None, "", "1", "a b c"):
        monkeypatch.setattr(processorwait, "SCHEDSTAT", tmp_path / "schedstat")
        if text is not None:
            (tmp_path / "schedstat").write_text(text)
        assert waited() is None
        assert ProcessorWait().since() is None


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system counts no waits")
def test_work_beside_others_on_one_processor_waits() -> None:
    """Two processes that share one processor wait for each other."""
    mine = os.sched_getaffinity(0)
    one = {min(mine)}
    with psutil.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            os.sched_setaffinity(other.pid, one)
            os.sched_setaffinity(0, one)
            before = waited()
            assert before is not None

            def noticed() -> bool:
                sum(range(1_000_000))  # who only sleeps is let in at once when it wakes up
                return (waited() or 0.0) > before + 0.05

            wait_for(noticed, 60, "a wait for the processor")
        finally:
            os.sched_setaffinity(0, mine)
            other.kill()


def test_a_run_says_how_long_the_job_waited(bench: Bench) -> None:
    """Where the system says it; else its record doesn't name it."""
    seen = iter([0.0, 1.5])
    bench.job.processor_wait = ProcessorWait(lambda: next(seen))
    assert bench.job.run_once().waited == 1.5
    bench.job.processor_wait = ProcessorWait(lambda: None)
    assert bench.job.run_once().waited is None
    assert ["waited" in record for record in bench.records] == [True, False]
