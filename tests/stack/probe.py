"""Asks ``/health/live`` again and again until its input ends: ``probe.py PORT``.

Prints the slowest answer in seconds. A process of its own: a test that attacks has no time for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: api\r\n\r\n"
END = b"}"
PAUSE = 0.005


def hurry() -> None:
    """Go before other programs, where that is permitted: they are not what is measured."""
    with contextlib.suppress(PermissionError):
        os.nice(-10)


def main() -> None:
    """Probe."""
    hurry()
    slowest = 0.0
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as client:
        print("ready", flush=True)  # noqa: T201 - for the test
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            begun = time.perf_counter()
            client.sendall(REQUEST)
            answer = client.recv(4096)
            while answer and not answer.endswith(END):  # head and body may come one by one
                answer += client.recv(4096)
            slowest = max(slowest, time.perf_counter() - begun)
            if not answer.startswith(b"HTTP/1.1 200"):
                sys.exit(f"not alive: {answer[:200]!r}")
    print(slowest)  # noqa: T201 - for the test


if __name__ == "__main__":
    main()
