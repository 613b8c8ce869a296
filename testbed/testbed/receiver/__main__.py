"""``python -m testbed.receiver``: the alert receiver as a process."""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(lambda: import_module("testbed.receiver.__main__").main(), "receiver")

import argparse
import math
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from testbed_domain.boundedconnections import bounded
from testbed_domain.callers import names_of
from testbed_domain.tokens import TokenError, ensure_token
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from testbed.errors import EXIT_COULD_NOT_RUN
from testbed.receiver import BoundedFile, NotificationRecorder, OtlpSignals, create_app
from testbed.receiver.guard import BODY_LIMIT, BODY_SECONDS, PostLimits, guarded

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = 9080


def main(arguments: list[str] | None = None) -> int:
    """Serve until INT or TERM; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m testbed.receiver",
        description="Append every alert that Alertmanager posts to a file, one JSON line each.",
        epilog="Example: python -m testbed.receiver --port 9080 --out notifications.jsonl",
    )
    parser.add_argument("--out", type=Path, required=True, help="file to append to")
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--traces", type=Path, help="file for spans posted to /v1/traces")
    parser.add_argument("--log-records", type=Path, help="file for records posted to /v1/logs")
    parser.add_argument(
        "--names",
        default="",
        help="host names by which it may be asked, with commas between; IP addresses and localhost "
        "always may",
    )
    parser.add_argument(
        "--body-limit",
        type=_positive(int),
        default=BODY_LIMIT,
        help="most bytes of a POST (%(default)s)",
    )
    parser.add_argument(
        "--body-seconds",
        type=_positive(float),
        default=BODY_SECONDS,
        help="seconds in which a POST's body must have come (%(default)s)",
    )
    parser.add_argument(
        "--secret-file",
        type=Path,
        help="file of a secret that a POST's 'Authorization: Bearer' must hold; made where it is "
        "missing",
    )
    options = parser.parse_args(arguments)
    try:
        secret = None if options.secret_file is None else ensure_token(options.secret_file)
    except TokenError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_COULD_NOT_RUN
    limits = PostLimits(options.body_limit, options.body_seconds, secret)
    with ExitStack() as stack:
        try:
            recorder = stack.enter_context(NotificationRecorder(options.out))
            traces, log_records = (
                stack.enter_context(BoundedFile(path)) if path else None
                for path in (options.traces, options.log_records)
            )
        except OSError as error:
            sys.stderr.write(
                f"cannot write {error.filename}: {error.strerror}; "
                "give another --out, --traces or --log-records\n"
            )
            return EXIT_COULD_NOT_RUN
        app = create_app(recorder, time.time, OtlpSignals(traces, log_records))
        uvicorn.run(
            guarded(app, limits, names_of(options.names)),
            host=options.host,
            port=options.port,
            log_level="warning",
            access_log=False,
            http=bounded(HttpToolsProtocol),
            ws="none",
        )
    return 0


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """A number above 0 of the command line."""

    def number(text: str) -> float:
        found = kind(text)
        if not 0 < found < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return found

    return number
