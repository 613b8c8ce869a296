"""Reads a window of a log in a process of its own, and prints seconds and memory as JSON.

``python reading_child.py URL ROWS CAP``: the newest rows; a cap of 0 reads all of them. Seconds are
those of the processor.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from testbed_domain.logstore import open_log
from testbed_drift.rows.columns import ColumnKind
from testbed_drift.rows.reading import WindowLog
from testbed_drift.rows.spans import Period
from testbed_drift.rows.windows import WindowReader

KINDS: dict[str, ColumnKind] = {f"x{index}": "numeric" for index in range(8)}


def main() -> None:
    """Measure."""
    url, rows, cap = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    reader = WindowReader("v1", KINDS, 1, rows)
    with WindowLog(open_log(url, create=False), cap or None) as log:
        used = time.process_time()
        window = reader.of_log(log, Period.between(0, 1e9))
        seconds = round(time.process_time() - used, 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    report = {"rows": len(window.frame), "seconds": seconds, "peak_megabytes": round(peak)}
    print(json.dumps(report))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
