"""A Prefect server for one flow: its process, and the environment in which the flow then runs.

Prefect's own temporary server is started by every process that needs it, so by every worker too,
and outlives those that are killed. This one is started once; it ends when the process that started
it does, however that ends, because its standard input ends then. Its database is in a temporary
folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterator

API_URL: Final = "PREFECT_API_URL"
SECONDS_TO_START: Final = 120.0
SECONDS_TO_STOP: Final = 10.0
LOG: Final = "server.log"
# Prefect and Dask read these when they are imported, and the workers inherit them.
QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "DASK_LOGGING__DISTRIBUTED": "error",
    # Segments are sent as they are, however large.
    "DASK_DISTRIBUTED__ADMIN__LARGE_GRAPH_WARNING_THRESHOLD": "1 GiB",
}


class ServerError(DomainError):
    """No Prefect server. One line that says what to do."""


@contextlib.contextmanager
def orchestration() -> Iterator[None]:
    """Sees to it that Prefect has a server: that of ``PREFECT_API_URL``, else one for this flow.

    Changes the environment of this process, so neither Prefect nor Dask may be imported before.

    Raises:
        ServerError: the server does not start.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="testbed-flow-", ignore_cleanup_errors=True) as name:
        os.environ["DASK_TEMPORARY_DIRECTORY"] = name
        if os.environ.get(API_URL):
            yield
            return
        os.environ["PREFECT_HOME"] = name
        os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"  # nobody will read them there
        with _server(Path(name)) as url:
            os.environ[API_URL] = url
            try:
                yield
            finally:
                del os.environ[API_URL]


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        handle = listening.fileno()
        command = [sys.executable, "-m", "testbed_drift.flow.server", str(handle)]
        settings = os.environ | {"PREFECT_UI_ENABLED": "false"}
        with (folder / LOG).open("wb") as output:
            process = subprocess.Popen(
                command,
                env=settings,
                pass_fds=[handle],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
    try:
        _wait(process, url, folder / LOG)
        yield url
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, TimeoutError, ConnectionError),
            urllib.request.urlopen(f"{url}/health", timeout=1),  # noqa: S310 - our own address
        ):
            return
        time.sleep(0.05)
    last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
    raise ServerError(
        f"Prefect's temporary server did not start ({last}); name a running one by {API_URL}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_parent() -> None:
    """Ask this process to stop once its standard input ends."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve on the inherited socket until standard input ends."""
    import uvicorn  # noqa: PLC0415 - of Prefect, so only in this process

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the flow, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        fd=int(sys.argv[1]),
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
