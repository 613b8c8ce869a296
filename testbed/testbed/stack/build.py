"""The tools of the stack on this machine: found, installed, listed."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from testbed.errors import StackError, UsageError
from testbed.resources import root
from testbed.stack.catalogue import GIB, OPTIONAL, TOOLS, Tool, fits
from testbed.stack.recipe import HEARTBEAT, Progress, Workshop, ask_version, build, caches
from testbed.stack.toolchain import provide_toolchain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from testbed.stack.releases import ReleaseSite

CACHE_VARIABLE: Final = "TESTBED_CACHE"
INSTALL_HINT: Final = "run `testbed stack install`"


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """A program of the stack on this machine.

    Attributes:
        name: name of the program.
        version: the version found, else the pinned one.
        present: whether it can be used.
        path: where it is, or would be.
        source: ``cache``, ``PATH``, or ``missing``.
    """

    name: str
    version: str
    present: bool
    path: Path
    source: str


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs that a stack uses, by name."""

    programs: Mapping[str, ToolStatus]

    def path(self, name: str) -> Path:
        """Where a program is.

        Raises:
            StackError: it is not installed.
        """
        found = self.programs.get(name)
        if found is None or not found.present:
            raise StackError(f"{name} is not installed; {INSTALL_HINT}")
        return found.path

    @property
    def missing(self) -> tuple[str, ...]:
        """Programs that are not there."""
        return tuple(item.name for item in self.programs.values() if not item.present)


def cache_folder(env: Mapping[str, str] = os.environ) -> Path:
    """The per-user cache: ``TESTBED_CACHE``, else below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if env.get(CACHE_VARIABLE):
        return Path(env[CACHE_VARIABLE]).absolute()
    base = env.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ml-observability-testbed"


def manifest_file() -> Path:
    """The builder manifest of the Collector."""
    return root() / "otel" / "builder.yaml"


@dataclass(frozen=True, slots=True)
class Store:
    """The tools in a cache folder.

    Attributes:
        cache: the cache folder.
        manifest: the Collector's builder manifest.
        tools: what every stack needs.
        optional: what is only there where it is asked for by name.
        site: where release archives are; None lets ``TESTBED_RELEASES`` say it.
    """

    cache: Path
    manifest: Path
    tools: tuple[Tool, ...] = TOOLS
    optional: tuple[Tool, ...] = OPTIONAL
    site: ReleaseSite | None = None

    @property
    def folder(self) -> Path:
        """Folder of the finished tools."""
        return self.cache / "tools"

    def key(self, tool: Tool) -> str:
        """Name of the tool's folder."""
        return tool.key(self.manifest.read_text(encoding="utf-8") if tool.manifest else "")

    def cached(self, tool: Tool) -> list[ToolStatus]:
        """Programs of a tool in the cache; missing ones are marked so."""
        folder = self.folder / self.key(tool) / "bin"
        return [_status(program.name, tool.version, folder) for program in tool.programs]

    def find(self, *, prefer_path: bool = False, only: Iterable[str] | None = None) -> Tools:
        """What is there already; nothing is built."""
        found: dict[str, ToolStatus] = {}
        for tool in self._chosen(only):
            there = (_on_path(tool) if prefer_path else None) or self.cached(tool)
            found |= {item.name: item for item in there}
        return Tools(found)

    def missing(self, found: Tools | None = None, only: Iterable[str] | None = None) -> list[Tool]:
        """Tools of which a program is not ``found`` (by default: not in the cache)."""
        absent = set((found or self.find(only=only)).missing)
        return [
            tool
            for tool in self._chosen(only)
            if absent.intersection(program.name for program in tool.programs)
        ]

    def install(
        self, progress: Progress, *, prefer_path: bool = False, only: Iterable[str] | None = None
    ) -> Tools:
        """Fetch or build what is missing; see :func:`install`."""
        names = None if only is None else tuple(only)
        found = self.find(prefer_path=prefer_path, only=names)
        if found.missing:
            with self._lock(progress):
                found = self.find(prefer_path=prefer_path, only=names)  # others may have built it
                self._build_missing(found, names, progress)
                found = self.find(prefer_path=prefer_path, only=names)
        for item in found.programs.values():
            progress(item.name, "on PATH" if item.source == "PATH" else "in cache", 0.0)
        return found

    def _build_missing(
        self, found: Tools, only: tuple[str, ...] | None, progress: Progress
    ) -> None:
        missing = self.missing(found, only)
        from testbed.stack.releases import ReleaseSite, fetch  # noqa: PLC0415 - an HTTP client takes its time

        site = ReleaseSite.of() if self.site is None else self.site
        if site is not None and (released := [tool for tool in missing if tool.release]):
            check_disk([self.cache], len(released) * GIB // 2)
            fetched = fetch(
                [(each, self.key(each)) for each in released], self.folder, site, progress
            )
            missing = [tool for tool in missing if tool.name not in fetched]
        if not missing:
            return
        progress("tools", "getting Go", 0.0)
        toolchain = provide_toolchain(root())
        env = toolchain.environment(os.environ, self.cache)
        check_disk([self.cache, *caches(toolchain.go, env)], sum(tool.disk for tool in missing))
        shop = Workshop(self.folder, self.cache / "logs", self.manifest, toolchain.go, env)
        for tool in missing:
            begun = time.monotonic()
            build(tool, self.key(tool), shop, progress)
            progress(tool.name, "built", time.monotonic() - begun)

    def _chosen(self, only: Iterable[str] | None) -> list[Tool]:
        if only is None:
            return list(self.tools)
        names, there = set(only), (*self.tools, *self.optional)
        if unknown := names - {tool.name for tool in there}:
            known = ", ".join(tool.name for tool in there)
            raise UsageError(f"there is no tool {min(unknown)!r}; choose from {known}")
        return [tool for tool in there if tool.name in names]

    @contextmanager
    def _lock(self, progress: Progress) -> Iterator[None]:
        """Let one installation at a time into the cache."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        begun = time.monotonic()
        while True:
            try:
                lock.acquire(timeout=HEARTBEAT)
                break
            except Timeout:
                waited = time.monotonic() - begun
                progress("tools", "waiting for another installation", waited)
        try:
            yield
        finally:
            lock.release()


def install(
    progress: Progress, *, prefer_path: bool = False, only: Iterable[str] | None = None
) -> Tools:
    """Fetch every missing tool into the per-user cache, or build what can't be fetched.

    Args:
        progress: is notified of what happens, every second while it lasts.
        prefer_path: take programs from ``PATH`` whose version fits the pinned one.
        only: names of tools; all by default.

    Raises:
        StackError: no Go, too little disk, or a failed build; says what to do, with the log's tail.
        UsageError: ``only`` names a tool that there is not.
    """
    return default_store().install(progress, prefer_path=prefer_path, only=only)


def find(*, prefer_path: bool = False) -> Tools:
    """The tools that are there; nothing is built."""
    return default_store().find(prefer_path=prefer_path)


def status(*, prefer_path: bool = False) -> list[ToolStatus]:
    """Every program of the stack, present or missing."""
    return list(find(prefer_path=prefer_path).programs.values())


def default_store() -> Store:
    """The store of this user and this checkout."""
    return Store(cache_folder(), manifest_file())


def check_disk(folders: Iterable[Path], needed: int) -> None:
    """Refuse to begin what the disk can't hold.

    Raises:
        StackError: less than ``needed`` bytes are free where one of the folders is or will be.
    """
    for folder in folders:
        free = free_bytes(folder)
        if free < needed:
            raise StackError(
                f"building the tools needs about {needed / GIB:.1f} GiB for {folder}, "
                f"where {free / GIB:.1f} GiB are free; make room, or let {CACHE_VARIABLE}, "
                "GOCACHE and GOMODCACHE name folders on another disk"
            )


def free_bytes(folder: Path) -> int:
    """Free space for this user where ``folder`` is or will be."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def _status(name: str, version: str, folder: Path) -> ToolStatus:
    path = folder / name
    present = os.access(path, os.X_OK)
    return ToolStatus(name, version, present, path, "cache" if present else "missing")


def _on_path(tool: Tool) -> list[ToolStatus] | None:
    """All programs of a tool on ``PATH`` at fitting versions, else None."""
    found: list[ToolStatus] = []
    for program in tool.programs:
        path = shutil.which(program.on_path)
        if path is None:
            return None
        try:
            version = ask_version(Path(path))
        except StackError:
            return None
        if not fits(version, tool.version):
            return None
        found.append(
            ToolStatus(program.name, version, present=True, path=Path(path), source="PATH")
        )
    return found
