"""What Locust's master and workers say to each other about a load that they share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from testbed_load.plan import plan_text

if TYPE_CHECKING:
    from testbed_load.plan import LoadPlan

READY: Final = "testbed-ready"
"""From a worker: that it only waits for the beginning."""
PLAN: Final = "testbed-plan"
"""From the master behind the web UI: what the workers are to play next."""
BEGIN: Final = "testbed-begin"
"""From the master: when the first phase begins, and the digest of the plan."""
STOP: Final = "testbed-stop"
"""From the master: send nothing more."""
SENT: Final = "testbed-sent"
"""From a worker: requests that ended, and labels that it posted."""
ENDED: Final = "testbed-ended"
"""From a worker: that this was all, and how many of its requests were never sent."""
FAILED: Final = "testbed-failed"
"""From a worker: why it can't go on."""


def digest(plan: LoadPlan) -> str:
    """What tells two plans apart."""
    return hashlib.sha256(plan_text(plan).encode()).hexdigest()
