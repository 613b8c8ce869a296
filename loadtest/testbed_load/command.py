"""How Locust is started; imports nothing of Locust, which must come first in its own process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

PLAN_VARIABLE: Final = "TESTBED_LOAD_PLAN"
TRUTH_VARIABLE: Final = "TESTBED_TRUTH_DIR"
KEY_VARIABLE: Final = "TESTBED_LOAD_KEY_FILE"

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")


def locust_command(
    plan_file: Path, truth_dir: Path | None, host: str, fail_ratio: float | None = None
) -> list[str]:
    """Arguments that play a plan against the URL ``host`` without a web UI.

    The process ends by itself with 0 when the plan is played, however the service did, and with
    another code only when it could not play it; with a ``fail_ratio`` with 1 where more requests
    than that failed, or all of them. SIGINT ends it early with the truth complete.
    Give it no terminal as standard input: Locust reads keys from it. Plan and truth may also come
    from the environment, :data:`PLAN_VARIABLE` and :data:`TRUTH_VARIABLE`.
    """
    truth = [] if truth_dir is None else ["--truth-dir", str(truth_dir)]
    ratio = [] if fail_ratio is None else ["--max-fail-ratio", str(fail_ratio)]
    own = ["--load-plan", str(plan_file), *truth, *ratio]
    return [*_locust(host), "--headless", "--only-summary", *own]


def web_command(
    host: str,
    *,
    port: int,
    use_case: str,
    artefact: Path | None = None,
) -> list[str]:
    """Arguments that start Locust's web UI, where the profiles can be chosen.

    Args:
        host: URL of the service.
        port: of the web UI.
        use_case: whose rows are sent.
        artefact: model artefact whose rows are sent, or None for the use case's generator.
    """
    source = [] if artefact is None else ["--artefact", str(artefact)]
    ui = ["--web-host", "127.0.0.1", "--web-port", str(port)]
    return [*_locust(host), *ui, "--use-case", use_case, *source]


def _locust(host: str) -> list[str]:
    start = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--loglevel", "WARNING"]
    return [*start, "--host", host]
