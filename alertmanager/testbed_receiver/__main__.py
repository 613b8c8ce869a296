"""``python -m testbed_receiver``: the alert receiver as a process."""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(lambda: import_module("testbed_receiver.__main__").main(), "receiver")

import argparse
import math
import sys
import time
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from testbed_domain.boundedconnections import BOUNDS, Bounds, bounded
from testbed_domain.callers import names_of
from testbed_domain.endings import EXIT_COULD_NOT_RUN
from testbed_domain.tokens import TokenError, ensure_token
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from testbed_receiver.app import OtlpSignals, create_app
from testbed_receiver.guard import BODY_LIMIT, BODY_SECONDS, PostLimits, guarded
from testbed_receiver.messages import MessageRecorder
from testbed_receiver.otlp import BoundedFile
from testbed_receiver.record import NotificationRecorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

PORT = 9080


def main(arguments: list[str] | None = None, bounds: Bounds = BOUNDS) -> int:
    """Serve until INT or TERM; returns the exit code.

    Args:
        arguments: of the command line, in place of the process's own.
        bounds: what clients may take.
    """
    parser = argparse.ArgumentParser(
        prog="python -m testbed_receiver",
        description="Append every alert that Alertmanager posts to a file, one JSON line each.",
        epilog="Example: python -m testbed_receiver --port 9080 --out notifications.jsonl",
    )
    parser.add_argument("--out", type=Path, required=True, help="file to append to")
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--traces", type=Path, help="file for spans posted to /v1/traces")
    parser.add_argument("--log-records", type=Path, help="file for records posted to /v1/logs")
    parser.add_argument(
        "--messages",
        type=Path,
        help="file for what Slack, PagerDuty and other integrations get, posted to /receivers/…",
    )
    parser.add_argument("--page", help="URL of a page that shows the same, to which / then leads")
    parser.add_argument("--smtp-port", type=int, help="port on which it takes mails, too")
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
    if options.smtp_port is not None and options.messages is None:
        parser.error("--smtp-port: give --messages, too, for what the mails say")
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
            messages = (
                stack.enter_context(MessageRecorder(options.messages)) if options.messages else None
            )
        except OSError as error:
            sys.stderr.write(
                f"cannot write {error.filename}: {error.strerror}; "
                "give another --out, --traces, --log-records or --messages\n"
            )
            return EXIT_COULD_NOT_RUN
        beside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        if messages is not None and options.smtp_port is not None:
            from testbed_receiver.smtp import MailHandler, mail_server  # noqa: PLC0415 - seldom

            handler = MailHandler(messages, time.time)
            beside = partial(mail_server, handler, options.host, options.smtp_port)
        signals = OtlpSignals(traces, log_records)
        app = create_app(recorder, time.time, signals, messages, beside, options.page)
        uvicorn.run(
            guarded(app, limits, names_of(options.names)),
            host=options.host,
            port=options.port,
            log_level="warning",
            access_log=False,
            http=bounded(HttpToolsProtocol, bounds),
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
