"""Official release archives of the tools: fetched side by side, checked, unpacked.

An archive is a short cut: where it can't be had within seconds, or is not what it should be, the
tool is compiled. What the checksums protect against stands in ``docs/decisions/0017``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import platform
import shutil
import socket
import tarfile
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from testbed.errors import StackError, UsageError
from testbed.stack.catalogue import GIB
from testbed.stack.recipe import HEARTBEAT, UNFINISHED, Progress, verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from testbed.stack.catalogue import Release, Tool, ToolProgram

VARIABLE: Final = "TESTBED_RELEASES"
DEFAULT: Final = "https://github.com"
NONE: Final = "none"
MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""Name of a machine in Python to that in archives."""
LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_SUMS: Final = 256 * 1024
MAX_ARCHIVE: Final = GIB
MAX_UNPACKED: Final = GIB
"""Bytes of all that an archive holds: few packed bytes can become a full disk."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a site may take before the tools are compiled.

    Attributes:
        connect: seconds until it answers.
        silence: seconds without a byte.
        rate: bytes per second that must come, on average.
        grace: seconds from which on that is looked at.
    """

    connect: float = 3.0
    silence: float = 5.0
    rate: float = 200_000.0
    grace: float = 10.0


@dataclass(frozen=True, slots=True)
class ReleaseSite:
    """Where archives are fetched from.

    Attributes:
        base: URL below which the repositories are.
        limits: how long it may take.
        machine: as Python names it.
    """

    base: str = DEFAULT
    limits: TimeLimits = TimeLimits()
    machine: str = platform.machine()

    @classmethod
    def of(cls, env: Mapping[str, str] = os.environ) -> ReleaseSite | None:
        """The site that ``TESTBED_RELEASES`` names; None where nothing is to be fetched.

        Raises:
            UsageError: it is no address over which a published checksum would mean something.
        """
        base = (env.get(VARIABLE) or DEFAULT).rstrip("/")
        if base == NONE:
            return None
        if not _is_safe(base):
            raise UsageError(
                f"{VARIABLE} must be an address with https (http on this machine only), or {NONE}; "
                f"not {base!r}"
            )
        return cls(base)

    def archive(self, release: Release) -> str | None:
        """Name of a release's archive for this machine; None where there is none."""
        known = MACHINES.get(self.machine)
        return release.archive.format(machine=known) if known else None

    def url(self, release: Release, name: str) -> str:
        """Address of a file of a release."""
        return f"{self.base}/{release.repository}/releases/download/{release.tag}/{name}"


def fetch(
    tools: Sequence[tuple[Tool, str]], folder: Path, site: ReleaseSite, progress: Progress
) -> set[str]:
    """Fetch what can be fetched into ``folder / key``; under that name a tool is always whole.

    Args:
        tools: each with its key in the cache.
        folder: of the finished tools; the caller holds its lock.
        site: where the archives are.
        progress: is notified of what happens, and why an archive is not taken.

    Returns:
        Names of the tools that are there now; the others have to be compiled.
    """
    stop, begun = Event(), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{UNFINISHED}*"):  # of an installation that was killed
        shutil.rmtree(left, ignore_errors=True)
    if not _is_known(site):
        progress("tools", "not fetched (the release site is not known here): compiling", 0.0)
        return set()
    done: set[str] = set()
    pool = ThreadPoolExecutor(max(1, len(tools)), "release")
    try:
        pending = {pool.submit(_fetch, tool, folder / key, site, stop): tool for tool, key in tools}
        while pending:
            ended, _ = wait(pending, HEARTBEAT, "FIRST_COMPLETED")
            elapsed = time.monotonic() - begun
            for future in ended:
                tool = pending.pop(future)
                problem = _problem(future)
                if problem is None:
                    done.add(tool.name)
                state = "fetched" if problem is None else f"not fetched ({problem}): compiling it"
                progress(tool.name, state, elapsed)
            if pending:
                progress(", ".join(tool.name for tool in pending.values()), "fetching", elapsed)
    finally:
        stop.set()
        pool.shutdown()
    return done


def _is_known(site: ReleaseSite) -> bool:
    """Whether the site's name leads anywhere: without a network that takes some systems long."""
    if getproxies():
        return True  # which knows more names than this machine
    found = Event()

    def resolve() -> None:
        with suppress(OSError, UnicodeError):  # the latter of a name that no host can have
            socket.getaddrinfo(urlsplit(site.base).hostname, None)
            found.set()

    asking = Thread(target=resolve, daemon=True)
    asking.start()
    asking.join(site.limits.connect)
    return found.is_set()


def _problem(future: Future[None]) -> str | None:
    try:
        future.result()
    except StackError as error:
        return str(error)
    except httpx.TimeoutException:
        return "the release site does not answer"
    except httpx.HTTPError as error:
        return f"the release site can't be reached: {error or type(error).__name__}"
    except (httpx.InvalidURL, ImportError, ValueError) as error:  # of variables of the environment
        return f"the proxy of the environment can't be used: {error}"
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        return f"its archive can't be unpacked: {error}"
    return None


def _fetch(tool: Tool, target: Path, site: ReleaseSite, stop: Event) -> None:
    name = site.archive(tool.release) if tool.release else None
    if tool.release is None or name is None:
        raise StackError("there is no archive for this machine")
    limits = site.limits
    timeout = httpx.Timeout(limits.silence, connect=limits.connect)
    stage = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=target.parent))
    try:
        with httpx.Client(timeout=timeout, follow_redirects=True) as client:
            wanted = tool.release.sha256.get(name) or _published(client, tool.release, name, site)
            with (stage / "archive").open("wb") as file:
                found = _download(client, site.url(tool.release, name), file, limits, stop)
        if found != wanted:
            raise StackError(f"its archive has the checksum {found[:12]}…, not {wanted[:12]}…")
        _unpack(stage / "archive", tool.programs, stage / "out" / "bin")
        (stage / "archive").unlink()
        for program in tool.programs:
            verify(stage / "out" / "bin" / program.name, tool.version)
        (stage / "out" / "release").write_text(f"{site.url(tool.release, name)}\n{found}\n")
        (stage / "out").rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _published(client: httpx.Client, release: Release, name: str, site: ReleaseSite) -> str:
    """The checksum that stands beside the archive."""
    with client.stream("GET", site.url(release, release.sums)) as reply:
        _require_answer(reply)
        text, begun = bytearray(), time.monotonic()
        for chunk in reply.iter_bytes():
            text += chunk
            if len(text) > MAX_SUMS:
                raise StackError("the release's checksums are too long")
            if time.monotonic() - begun > site.limits.grace:
                raise StackError("the release site is slow")
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name:  # noqa: PLR2004 - checksum and name
            return words[0].lower()
    raise StackError(f"the release's {release.sums} does not name {name}")


def _download(
    client: httpx.Client, url: str, file: IO[bytes], limits: TimeLimits, stop: Event
) -> str:
    """Write a file, and return its SHA-256."""
    digest, size, begun = hashlib.sha256(), 0, time.monotonic()
    with client.stream("GET", url) as reply:
        _require_answer(reply)
        for chunk in reply.iter_raw():
            if stop.is_set():
                raise StackError("stopped")
            size += len(chunk)
            if size > MAX_ARCHIVE:
                raise StackError(f"its archive has over {MAX_ARCHIVE:,} bytes")
            file.write(chunk)
            digest.update(chunk)
            elapsed = time.monotonic() - begun
            if elapsed > limits.grace and size < limits.rate * elapsed:
                raise StackError(f"the release site is slow: {size / elapsed / 1000:.0f} kB/s")
    return digest.hexdigest()


def _require_answer(reply: httpx.Response) -> None:
    if reply.status_code != httpx.codes.OK:
        raise StackError(f"the release site answers {reply.status_code}")
    if not all(_is_safe(str(each.url)) for each in (*reply.history, reply)):
        raise StackError("the release site leads to an address without https")


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # half an address in brackets
        return False
    secure = parts.scheme == "https" and parts.hostname is not None
    return secure or (parts.scheme == "http" and parts.hostname in LOCAL)


class _Bounded(io.RawIOBase):
    """Reads a file of at most :data:`MAX_UNPACKED` bytes."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._left = MAX_UNPACKED

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise StackError(f"its archive holds over {MAX_UNPACKED:,} bytes")
        return data


def _unpack(archive: Path, programs: Sequence[ToolProgram], folder: Path) -> None:
    """Take the programs out of an archive, by their names, and nothing else."""
    wanted = {program.on_path: program.name for program in programs}
    folder.mkdir(parents=True)
    # As a stream, whose every byte is counted: those of members that are not wanted, too.
    with gzip.open(archive) as plain, tarfile.open(fileobj=_Bounded(plain), mode="r|") as packed:
        for member in packed:
            name = wanted.pop(Path(member.name).name, None) if member.isfile() else None
            if name is None:
                continue
            # What a sparse member does not hold is no byte that is counted, and one of the disk.
            if member.issparse() or (content := packed.extractfile(member)) is None:
                raise StackError(f"{member.name} in its archive is not a program")
            with content, (folder / name).open("wb") as file:
                shutil.copyfileobj(content, file)
            (folder / name).chmod(0o755)
    if wanted:
        raise StackError(f"its archive lacks {', '.join(wanted)}")
