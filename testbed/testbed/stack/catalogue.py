"""The pinned tools of the stack: what is built, how, and which image is the same thing."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

GIB: Final = 2**30
VERSION_OPTION: Final = "--version"
BUILDER_MODULE: Final = "go.opentelemetry.io/collector/cmd/builder"

_VERSION = re.compile(r"\bversion v?(\d+\.\d+\.\d+)")
_STRIP: Final = "-s -w"


@dataclass(frozen=True, slots=True)
class ToolProgram:
    """An executable of a tool.

    Attributes:
        name: its name in the cache.
        package: Go import path of its main package; empty where a generator writes the source.
        path_name: its name on ``PATH``, where another one than ``name`` is the usual.
    """

    name: str
    package: str = ""
    path_name: str = ""

    @property
    def on_path(self) -> str:
        """Name under which ``PATH`` is searched."""
        return self.path_name or self.name


@dataclass(frozen=True, slots=True)
class Release:
    """The official release of a tool's version.

    Attributes:
        repository: owner and name.
        tag: of the release.
        archive: name of the archive; ``{machine}`` stands for amd64 or arm64.
        sums: name of the file of checksums beside it.
        sha256: archive to its checksum, as far as that is known here; else that of ``sums`` holds.
    """

    repository: str
    tag: str
    archive: str
    sums: str = "sha256sums.txt"
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """A Go module at a pinned version and the programs that are built from it.

    Attributes:
        module: Go module; for the Collector that of its builder.
        module_version: version of the module.
        version: version that the programs report.
        image: official image of the same version, for Compose.
        tags: Go build tags.
        ldflags: linker flags; a plain module build reports no version.
        disk: bytes that a cold build puts into Go's caches, with a margin.
        manifest: whether the module is the Collector's builder, fed with ``otel/builder.yaml``.
        release: its official archives, which are taken where they can be fetched.
    """

    name: str
    module: str
    module_version: str
    version: str
    programs: tuple[ToolProgram, ...]
    image: str
    tags: tuple[str, ...] = ("netgo",)
    ldflags: str = _STRIP
    disk: int = GIB
    manifest: bool = False
    release: Release | None = None

    def key(self, manifest: str = "") -> str:
        """Name of its folder in the cache: tool, version, and a hash of all that shapes it."""
        packages = [program.package for program in self.programs]
        source = [self.module, self.module_version, packages, manifest if self.manifest else ""]
        shape = [source, self.tags, self.ldflags, platform.machine()]
        digest = hashlib.sha256(json.dumps(shape).encode()).hexdigest()
        return f"{self.name}-{self.version}-{digest[:12]}"


def _version_flags(version: str) -> str:
    """Linker flags of Prometheus's tools, which take their version from a shared package."""
    return f"{_STRIP} -X github.com/prometheus/common/version.Version={version}"


OTELCOL: Final = Tool(
    name="otelcol",
    module=BUILDER_MODULE,
    module_version="v0.155.0",
    version="0.155.0",
    # The distribution of that very name lacks components that the configuration needs.
    programs=(ToolProgram("otelcol", path_name="otelcol-contrib"),),
    image="otel/opentelemetry-collector-contrib:0.155.0",
    disk=5 * GIB // 2,
    manifest=True,
    release=Release(
        "open-telemetry/opentelemetry-collector-releases",
        "v0.155.0",
        "otelcol-contrib_0.155.0_linux_{machine}.tar.gz",
        "opentelemetry-collector-releases_otelcol-contrib_checksums.txt",
    ),
)
PROMETHEUS: Final = Tool(
    name="prometheus",
    module="github.com/prometheus/prometheus",
    module_version="v0.315.0",
    version="3.15.0",
    ldflags=_version_flags("3.15.0"),
    programs=(
        ToolProgram("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
        ToolProgram("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
    ),
    image="prom/prometheus:v3.15.0",
    disk=5 * GIB // 2,
    # Compiled without builtinassets there is no web UI, which would need a front-end build (the
    # release's archive has it); without the
    # cloud service discoveries there is far less to compile (static and file ones stay).
    tags=("netgo", "stringlabels", "remove_all_sd"),
    release=Release(
        "prometheus/prometheus",
        "v3.15.0",
        "prometheus-3.15.0.linux-{machine}.tar.gz",
        sha256={
            "prometheus-3.15.0.linux-amd64.tar.gz": (
                "2a542df32eac02ee17b9d844fb2aa1de00dafa5476579ba8a3ba862e9d572ea0"
            )
        },
    ),
)
ALERTMANAGER: Final = Tool(
    name="alertmanager",
    module="github.com/prometheus/alertmanager",
    module_version="v0.31.1",
    version="0.31.1",
    ldflags=_version_flags("0.31.1"),
    programs=(
        ToolProgram("alertmanager", "github.com/prometheus/alertmanager/cmd/alertmanager"),
        ToolProgram("amtool", "github.com/prometheus/alertmanager/cmd/amtool"),
    ),
    image="prom/alertmanager:v0.31.1",
    disk=GIB,
    release=Release(
        "prometheus/alertmanager", "v0.31.1", "alertmanager-0.31.1.linux-{machine}.tar.gz"
    ),
)
NODE_EXPORTER: Final = Tool(
    name="node_exporter",
    module="github.com/prometheus/node_exporter",
    module_version="v1.12.1",
    version="1.12.1",
    ldflags=_version_flags("1.12.1"),
    programs=(ToolProgram("node_exporter", "github.com/prometheus/node_exporter"),),
    image="quay.io/prometheus/node-exporter:v1.12.1",
    disk=GIB // 2,
    release=Release(
        "prometheus/node_exporter",
        "v1.12.1",
        "node_exporter-1.12.1.linux-{machine}.tar.gz",
        sha256={
            "node_exporter-1.12.1.linux-amd64.tar.gz": (
                "b51d8a76aa2a9156a55d501aca6276fae09e262259a5e4e831d2c2222f084e63"
            )
        },
    ),
)
TOXIPROXY: Final = Tool(
    name="toxiproxy",
    module="github.com/Shopify/toxiproxy/v2",
    module_version="v2.5.0",
    version="2.5.0",
    ldflags=f"{_STRIP} -X github.com/Shopify/toxiproxy/v2.Version=2.5.0",
    programs=(ToolProgram("toxiproxy-server", "github.com/Shopify/toxiproxy/v2/cmd/server"),),
    image="ghcr.io/shopify/toxiproxy:2.5.0",
    disk=GIB // 2,
)
#: Built only where a scenario needs them.
OPTIONAL: Final = (TOXIPROXY,)
#: In the order in which they are built.
TOOLS: Final = (NODE_EXPORTER, PROMETHEUS, OTELCOL, ALERTMANAGER)


def images() -> dict[str, str]:
    """Tool name to official image of the pinned version."""
    return {tool.name: tool.image for tool in TOOLS}


def parse_version(text: str) -> str:
    """Read the version from what ``--version`` printed.

    Raises:
        StackError: there is none.
    """
    match = _VERSION.search(text)
    if match is None:
        first = text.strip().partition("\n")[0]
        raise StackError(f"there is no version in {first!r}")
    return match[1]


def fits(found: str, pinned: str) -> bool:
    """Whether a version from elsewhere may stand in for the pinned one: same major and minor."""
    return found.split(".")[:2] == pinned.split(".")[:2]
