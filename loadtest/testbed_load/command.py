"""How Locust is started; imports nothing of Locust, which must come first in its own process."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from testbed_otel.standard import TelemetrySettingsError, endpoint

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN_VARIABLE: Final = "TESTBED_LOAD_PLAN"
TRUTH_VARIABLE: Final = "TESTBED_TRUTH_DIR"
KEY_VARIABLE: Final = "TESTBED_LOAD_KEY_FILE"

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")


def locust_command(
    plan_file: Path,
    truth_dir: Path | None,
    host: str,
    *,
    processes: int = 1,
    fail_ratio: float | None = None,
    further: Sequence[str] = (),
) -> list[str]:
    """Arguments that play a plan against the URL ``host`` without a web UI.

    With more than one process, so many workers of Locust send; a master begins and ends the load
    and writes the truth. They meet at a port of the loopback interface that is free now.

    The process ends by itself with 0 when the plan is played, however the service did, and with
    another code only when it could not play it; with a ``fail_ratio`` with 1 where more requests
    than that failed, or all of them. SIGINT ends it early with the truth complete.
    Give it no terminal as standard input: Locust reads keys from it. Plan and truth may also come
    from the environment, :data:`PLAN_VARIABLE` and :data:`TRUTH_VARIABLE`.
    """
    truth = [] if truth_dir is None else ["--truth-dir", str(truth_dir)]
    ratio = [] if fail_ratio is None else ["--max-fail-ratio", str(fail_ratio)]
    own = ["--load-plan", str(plan_file), *truth, *ratio, *further]
    return [*_locust(host), "--headless", "--only-summary", *own, *_shared(processes)]


def master_command(
    plan_file: Path,
    truth_dir: Path,
    host: str,
    *,
    bind: tuple[str, int],
    workers: int,
    fail_ratio: float | None = None,
    further: Sequence[str] = (),
) -> list[str]:
    """Arguments of a master that waits for workers on other hosts; it sends nothing itself.

    Args:
        plan_file: plan that is played.
        truth_dir: gets the truth.
        host: URL of the service.
        bind: address and port that the workers ask.
        workers: how many are waited for.
        fail_ratio: as of :func:`locust_command`.
        further: options of Locust, see :func:`output_options`.
    """
    address, port = bind
    shared = ["--master", "--expect-workers", str(workers)]
    bound = ["--master-bind-host", address, "--master-bind-port", str(port)]
    played = locust_command(plan_file, truth_dir, host, fail_ratio=fail_ratio, further=further)
    return [*played, *shared, *bound]


def output_options(csv: Path | None, html: Path | None, otlp: str | None = None) -> list[str]:
    """Options by which a load says more than its truth.

    Args:
        csv: how the names of the files of Locust's statistics begin: ``CSV_stats.csv`` and others.
        html: file of Locust's report.
        otlp: base URL of the OTLP/HTTP receiver that gets spans and durations of the requests;
            ``none`` or empty: there is none.

    Raises:
        LoadError: a file can't be written, which Locust would find out after the load; or the
            receiver's URL is not one.
    """
    files = (("--csv", csv), ("--html", html))
    written = [word for name, path in files if path for word in (name, _writable(name, path))]
    try:
        receiver = endpoint("--otlp-endpoint", otlp) if otlp else None
    except TelemetrySettingsError as error:
        raise LoadError(str(error)) from None
    return [*written, *(["--otlp-endpoint", receiver] if receiver else [])]


def _writable(option: str, path: Path) -> str:
    """The absolute path of a file, or beginning of files, whose folder takes new ones."""
    path = path.resolve()
    try:
        if option == "--html" and path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise LoadError(f"{option}: {path} can't be written: {error.strerror}") from None
    return str(path)


def worker_command(plan_file: Path, host: str, *, master: tuple[str, int]) -> list[str]:
    """Arguments of a worker on another host; it has the same plan, and no truth of its own.

    Args:
        plan_file: plan that is played.
        host: URL of the service.
        master: address and port of the master.
    """
    address, port = master
    asked = ["--worker", "--master-host", address, "--master-port", str(port)]
    return [*_locust(host), "--load-plan", str(plan_file), *asked]


def web_command(
    host: str,
    *,
    port: int,
    use_case: str,
    artefact: Path | None = None,
    exchange: Path | None = None,
    processes: int = 1,
    further: Sequence[str] = (),
) -> list[str]:
    """Arguments that start Locust's web UI, where the profiles can be chosen.

    Args:
        host: URL of the service.
        port: of the web UI.
        use_case: whose rows are sent.
        artefact: model artefact whose rows are sent, or None for the use case's generator.
        exchange: file that says how another service than the bundled API is asked.
        processes: that send.
        further: options of Locust, see :func:`output_options`.
    """
    source = [] if artefact is None else ["--artefact", str(artefact)]
    source += [] if exchange is None else ["--exchange", str(exchange)]
    ui = ["--web-host", "127.0.0.1", "--web-port", str(port)]
    own = ["--use-case", use_case, *source, *further]
    return [*_locust(host), *ui, *own, *_shared(processes)]


def _shared(processes: int) -> list[str]:
    if processes == 1:
        return []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    master = ["--master-host", "127.0.0.1", "--master-port", port]
    bound = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return ["--processes", str(processes), *master, *bound]


def _locust(host: str) -> list[str]:
    start = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--loglevel", "WARNING"]
    return [*start, "--host", host]
