"""Release archives, from a server on this machine that plays the release site."""

from __future__ import annotations

import hashlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Event
from typing import TYPE_CHECKING

import httpx
import pytest
from testbed.errors import StackError, UsageError
from testbed.stack import releases
from testbed.stack.catalogue import (
    ALERTMANAGER,
    NODE_EXPORTER,
    OTELCOL,
    PROMETHEUS,
    TOOLS,
    Release,
    Tool,
)
from testbed.stack.releases import ReleaseSite, TimeLimits, fetch

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMITS = TimeLimits(connect=2.0, silence=0.5, rate=200_000.0, grace=0.2)


@dataclass
class Site:
    """What a release site has.

    Attributes:
        files: path to content.
        slow: paths of which a byte comes now and then, and no end.
        moved: path to another address.
        hook: is called at each request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)
    hook: Callable[[str], object] = lambda _path: None
    over: Event = field(default_factory=Event)

    def add(self, tool: Tool, version: str | None = None, sums: str = "") -> Tool:
        """Put an archive with a tool's programs there; return the tool with nothing pinned."""
        release = tool.release
        assert release is not None
        name = release.archive.format(machine="amd64")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            folder = name.removesuffix(".tar.gz")
            for member in ("LICENSE", *(program.on_path for program in tool.programs)):
                text = f"#!/bin/sh\necho 'version {version or tool.version}'\n".encode()
                info = tarfile.TarInfo(f"{folder}/{member}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text))
        content = packed.getvalue()
        digest = sums or hashlib.sha256(content).hexdigest()
        self.files[_path(release, name)] = content
        self.files[_path(release, release.sums)] = f"{'0' * 64}  other\n{digest}  {name}\n".encode()
        return replace(tool, release=replace(release, sha256={}))


def _path(release: Release, name: str) -> str:
    return f"/{release.repository}/releases/download/{release.tag}/{name}"


def _archive(tool: Tool) -> str:
    assert tool.release is not None
    return _path(tool.release, tool.release.archive.format(machine="amd64"))


@pytest.fixture
def site() -> Iterator[tuple[Site, ReleaseSite]]:
    """A server, and what asks it."""
    there = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there.hook(self.path)
            if self.path in there.moved:
                self.send_response(302)
                self.send_header("Location", there.moved[self.path])
                self.end_headers()
                return
            content = there.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.path in there.slow:
                while not there.over.wait(0.05):
                    self.wfile.write(b"x")
            elif content is not None:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.serve_forever, 0.01)
        address = f"http://127.0.0.1:{server.server_port}"
        yield there, ReleaseSite(address, LIMITS, "x86_64")
        there.over.set()
        server.shutdown()


def _fetched(
    tools: list[Tool], folder: Path, asked: ReleaseSite
) -> tuple[set[str], dict[str, str]]:
    """Names of the tools that were fetched, and the last that was said of each."""
    said: dict[str, str] = {}
    pairs = [(tool, f"{tool.name}-key") for tool in tools]
    found = fetch(pairs, folder, asked, lambda tool, state, _: said.update({tool: state}))
    assert not list(folder.glob(".unfinished-*"))
    assert {path.name for path in folder.iterdir()} == {f"{name}-key" for name in found}
    return found, said


def test_archives_are_fetched_side_by_side(tmp_path: Path, site: tuple[Site, ReleaseSite]) -> None:
    """All programs of all tools, under their own names, and nothing else of the archives."""
    there, asked = site
    tools = [there.add(tool) for tool in (NODE_EXPORTER, PROMETHEUS, OTELCOL, ALERTMANAGER)]
    together = Barrier(len(tools), timeout=30)
    there.hook = lambda path: together.wait() if path.endswith(".tar.gz") else None
    found, said = _fetched(tools, tmp_path / "tools", asked)
    assert found == {"node_exporter", "prometheus", "otelcol", "alertmanager"}
    assert set(said.values()) >= {"fetched"}
    programs = {path.name for path in (tmp_path / "tools").glob("*/bin/*")}
    assert programs == {program.name for tool in tools for program in tool.programs}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda there, _: there.add(PROMETHEUS, sums="1" * 64), "checksum"),
        (lambda there, _: there.add(PROMETHEUS, version="3.14.0"), "3.14.0 in place of 3.15.0"),
        (lambda there, tool: there.slow.add(_archive(tool)), "slow"),
        (lambda there, tool: there.files.pop(_archive(tool)), "answers 404"),
        (
            lambda there, tool: there.moved.update({_archive(tool): "http://example.invalid/a"}),
            "can't be reached",
        ),
        (lambda there, _: there.files.update(dict.fromkeys(there.files, b"")), "does not name"),
    ],
)
def test_what_is_not_as_it_should_be_is_left_to_the_compiler(
    tmp_path: Path,
    site: tuple[Site, ReleaseSite],
    spoil: Callable[[Site, Tool], object],
    reason: str,
) -> None:
    """The reason is said by the tool's name; nothing of it stays, and the other tool is there."""
    there, asked = site
    tools = [there.add(PROMETHEUS)]
    spoil(there, tools[0])
    tools.append(there.add(ALERTMANAGER))
    if reason == "checksum":  # also where that beside the archive fits, and the pinned one does not
        there.add(PROMETHEUS)
        pin = {_archive(PROMETHEUS).rpartition("/")[2]: "1" * 64}
        assert tools[0].release is not None
        tools[0] = replace(tools[0], release=replace(tools[0].release, sha256=pin))
    found, said = _fetched(tools, tmp_path / "tools", asked)
    assert found == {"alertmanager"}
    assert reason in said["prometheus"]
    assert said["prometheus"].endswith("compiling it")


def _pack(there: Site, *members: tuple[tarfile.TarInfo, bytes]) -> Tool:
    """Put an archive of Prometheus with these members there, in place of its own."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return _serve(there, packed.getvalue())


def _serve(there: Site, content: bytes) -> Tool:
    tool = there.add(PROMETHEUS)
    assert tool.release is not None
    there.files[_archive(tool)] = content
    name = _archive(tool).rpartition("/")[2]
    digest = hashlib.sha256(content).hexdigest()
    there.files[_path(tool.release, tool.release.sums)] = f"{digest}  {name}\n".encode()
    return tool


def test_an_archive_unpacks_to_no_more_than_a_program_can_have(
    tmp_path: Path, site: tuple[Site, ReleaseSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted with what is not taken: few packed bytes can become a full disk."""
    there, asked = site
    monkeypatch.setattr(releases, "MAX_UNPACKED", 1 << 20)
    tool = _pack(there, (tarfile.TarInfo("LICENSE"), bytes(2 << 20)))
    found, said = _fetched([tool], tmp_path / "tools", asked)
    assert (found, "holds over" in said["prometheus"]) == (set(), True)


def test_a_program_full_of_holes_is_not_written_out(
    tmp_path: Path, site: tuple[Site, ReleaseSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a sparse member does not hold is no byte of the archive, and one of the disk."""
    there, asked = site
    monkeypatch.setattr(releases, "MAX_UNPACKED", 1 << 20)
    holes = tarfile.TarInfo("prometheus")
    holes.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(2 << 20)}
    found, said = _fetched([_pack(there, (holes, b""))], tmp_path / "tools", asked)
    assert (found, "is not a program" in said["prometheus"]) == (set(), True)


def test_an_archive_without_an_end_is_cut_off(
    tmp_path: Path, site: tuple[Site, ReleaseSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it fills the disk."""
    there, asked = site
    monkeypatch.setattr(releases, "MAX_ARCHIVE", 100)
    found, said = _fetched([there.add(PROMETHEUS)], tmp_path / "tools", asked)
    assert (found, "has over 100 bytes" in said["prometheus"]) == (set(), True)


def test_an_archive_that_was_spoilt_before_it_was_published_is_named(
    tmp_path: Path, site: tuple[Site, ReleaseSite]
) -> None:
    """Its checksum fits; what unpacks it says nothing of a file."""
    there, asked = site
    text = b"".join(b"%d\n" % number for number in range(100_000))
    content = bytearray(there.files[_archive(_pack(there, (tarfile.TarInfo("LICENSE"), text)))])
    content[50_000:50_100] = b"\xff" * 100
    found, said = _fetched([_serve(there, bytes(content))], tmp_path / "tools", asked)
    assert (found, "can't be unpacked" in said["prometheus"]) == (set(), True)


def test_programs_are_files_of_the_archive_and_stay_in_their_folder(
    tmp_path: Path, site: tuple[Site, ReleaseSite]
) -> None:
    """Neither a link in place of a program nor a way out of the folder is followed."""
    there, asked = site
    link = tarfile.TarInfo("prometheus")
    link.type, link.linkname = tarfile.SYMTYPE, "/bin/sh"
    text = f"#!/bin/sh\necho 'version {PROMETHEUS.version}'\n".encode()
    out = tarfile.TarInfo("../../../promtool")
    found, said = _fetched([_pack(there, (link, b""), (out, text))], tmp_path / "tools", asked)
    assert (found, "lacks prometheus" in said["prometheus"]) == (set(), True)
    assert [path.name for path in tmp_path.iterdir()] == ["tools"]


def test_a_site_that_sends_in_circles_is_left(
    tmp_path: Path, site: tuple[Site, ReleaseSite]
) -> None:
    """Its redirects are counted."""
    there, asked = site
    tool = there.add(PROMETHEUS)
    there.moved[_archive(tool)] = _archive(tool)
    found, said = _fetched([tool], tmp_path / "tools", asked)
    assert (found, "can't be reached" in said["prometheus"]) == (set(), True)


@pytest.mark.parametrize(
    ("name", "value"), [("ALL_PROXY", "socks5://127.0.0.1:1"), ("HTTPS_PROXY", "ftp://127.0.0.1:1")]
)
def test_a_proxy_that_can_not_be_used_is_said(
    tmp_path: Path,
    site: tuple[Site, ReleaseSite],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    """And the tools are compiled, as where there is no network."""
    there, asked = site
    monkeypatch.setenv(name, value)
    found, said = _fetched([there.add(PROMETHEUS)], tmp_path / "tools", asked)
    assert (found, "proxy" in said["prometheus"]) == (set(), True)


@pytest.mark.parametrize("hops", [("http://a.example", "https://b.example"), ("http://a.example",)])
def test_no_step_of_a_redirect_may_be_without_https(hops: tuple[str, ...]) -> None:
    """Whoever sits on it could send on to a site of their own, with https."""
    site = "https://site.example"

    def answer(request: httpx.Request) -> httpx.Response:
        steps = (site, *hops)
        place = steps.index(f"{request.url.scheme}://{request.url.host}")
        if place + 1 == len(steps):
            return httpx.Response(200, text=f"{'1' * 64}  a.tar.gz")
        return httpx.Response(302, headers={"location": steps[place + 1]})

    release = PROMETHEUS.release
    assert release is not None
    with (
        httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True) as client,
        pytest.raises(StackError, match="without https"),
    ):
        releases._published(client, release, "a.tar.gz", ReleaseSite(site))


def test_without_a_network_nothing_is_waited_for(tmp_path: Path) -> None:
    """Neither a port where nobody listens nor a name that leads nowhere holds up the compiler."""
    for address in (f"http://127.0.0.1:{free_port()}", "https://release-site.invalid"):
        asked = ReleaseSite(address, LIMITS, "x86_64")
        found, said = _fetched([PROMETHEUS], tmp_path / "tools", asked)
        assert found == set()
        assert "not fetched" in " ".join(said.values())


def test_another_machine_has_no_archive(tmp_path: Path, site: tuple[Site, ReleaseSite]) -> None:
    """It is said, and nothing is asked for."""
    there, asked = site
    tool = there.add(PROMETHEUS)
    found, said = _fetched([tool], tmp_path / "tools", replace(asked, machine="riscv64"))
    assert (found, "no archive for this machine" in said["prometheus"]) == (set(), True)


def test_the_site_is_a_setting() -> None:
    """An address over which anybody could send a checksum is refused."""
    assert ReleaseSite.of({}) == ReleaseSite("https://github.com")
    assert ReleaseSite.of({"TESTBED_RELEASES": "none"}) is None
    mirror = ReleaseSite.of({"TESTBED_RELEASES": "https://mirror.example/github/"})
    assert mirror is not None
    assert mirror.base == "https://mirror.example/github"
    with pytest.raises(UsageError, match="must be an address with https"):
        ReleaseSite.of({"TESTBED_RELEASES": "http://mirror.example"})


@pytest.mark.parametrize("text", ["https://[::1", "https:", "https:///github"])
def test_what_is_no_address_is_refused_in_words(text: str) -> None:
    """Not with a traceback, nor only once a name that isn't there has led nowhere."""
    with pytest.raises(UsageError, match="must be an address with https"):
        ReleaseSite.of({"TESTBED_RELEASES": text})


@pytest.mark.parametrize("host", ["a..example", "a" * 70 + ".example"])
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_name_that_no_host_can_have_leads_nowhere(tmp_path: Path, host: str) -> None:
    """It is said as of any other name that does, without a traceback of a thread."""
    asked = ReleaseSite(f"https://{host}", LIMITS, "x86_64")
    found, said = _fetched([PROMETHEUS], tmp_path / "tools", asked)
    assert (found, "not known here" in said["tools"]) == (set(), True)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_release_is_of_the_pinned_version(tool: Tool) -> None:
    """Whoever renews a version renews archive and checksums with it."""
    release = tool.release
    assert release is not None
    assert release.tag == f"v{tool.version}"
    assert tool.version in release.archive
    names = {release.archive.format(machine=machine) for machine in ("amd64", "arm64")}
    assert set(release.sha256) <= names
    assert all(len(digest) == 64 for digest in release.sha256.values())
