"""``python -m testbed.stack.composeconfiguration FOLDER``: the configuration of a Compose stack.

One container renders it into a volume, before all others start: from the same files as in native
mode, at the time scale of ``TESTBED_TIME_SCALE``, for the components that ``COMPOSE_PROFILES``
names. Beside it lies ``stack.json``: what the stack was started with, for whoever plays a scenario
on it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError
from testbed_domain.files import write_atomic
from testbed_otel.aliases import AliasError, jobs_of
from testbed_otel.settings import JOB_NAMES
from testbed_rules.timescale import TimeScale

from testbed.composebasics import (
    ARTEFACT,
    LOG_URL,
    PROFILES,
    RECEIVED,
    STATE,
    TARGETS,
    TIME_SCALE,
    secret_file,
)
from testbed.errors import EXIT_COULD_NOT_RUN, UsageError
from testbed.resources import root
from testbed.stack.addresses import USUAL_PORTS
from testbed.stack.configuration import (
    alertmanager_tree,
    collector_tree,
    prometheus_tree,
    write_files,
)
from testbed.stack.jobnames import with_job_names
from testbed.stack.trees import read_tree, write_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_rules.timescale import Tree

QUEUE: Final = Path("/var/lib/otelcol")
STACK_FILE: Final = "stack.json"
# Where a scenario's container finds what the stack leaves.
EVIDENCE: Final = {
    "addresses": {address: address for address in USUAL_PORTS},
    "log_url": LOG_URL,
    "token": secret_file("management_token"),
    "model": ARTEFACT,
    "received": RECEIVED,
    "drift": f"{STATE}/drift",
    "targets": TARGETS,
}
ANY_PROFILE: Final = "*"
_JAEGER: Final = {"jaeger:4318": "jaeger:4318"}
_RECEIVER: Final = {"receiver:9080": "receiver:9080"}
_COLLECTOR: Final = {"collector:4317": "0.0.0.0:4317", "collector:4318": "0.0.0.0:4318"}


def flag_variable(flag: str) -> str:
    """Variable of the Compose file that holds a flag with a duration."""
    return f"TESTBED_{flag.replace('.', '_').replace('-', '_').upper()}"


def profiles_of(text: str) -> frozenset[str]:
    """The profiles that ``COMPOSE_PROFILES`` names."""
    return frozenset(name for component in text.split(",") if (name := component.strip()))


def traced(profiles: frozenset[str]) -> bool:
    """Whether there is a Jaeger, which then gets the spans."""
    return bool(profiles & {"traces", ANY_PROFILE})


def absent(profiles: frozenset[str]) -> frozenset[str]:
    """Components of native mode that a stack with these profiles lacks."""
    return frozenset() if profiles & {"host", ANY_PROFILE} else frozenset({"node_exporter"})


def render_compose(
    folder: Path,
    *,
    source: Path,
    factor: float,
    profiles: frozenset[str],
    node_port: str = "9100",
    job_names: str = "",
) -> None:
    """Write the configuration of every tool; files of before that none of them is are gone.

    Args:
        folder: the volume.
        source: folder that holds ``prometheus/``, ``alertmanager/``, ``otel/`` and ``grafana/``.
        factor: time scale.
        profiles: components beyond those of every stack.
        node_port: of node_exporter, on the machine's own network.
        job_names: system whose names scrape jobs have as well; empty for none.

    Raises:
        DomainError: a file can't be read or scaled.
    """
    scale, without = TimeScale(factor), absent(profiles)
    before = {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
    node = {"node_exporter:9100": f"node_exporter:{node_port}"}
    written = read_tree(source / "prometheus/prometheus.yml")
    prometheus = prometheus_tree(with_job_names(written, job_names), node, without)
    _found_by_file(prometheus, machine="node_exporter" not in without)
    jaeger = traced(profiles)
    collector = collector_tree(
        read_tree(source / "otel/collector.yaml"),
        _COLLECTOR | (_JAEGER if jaeger else _RECEIVER),
        QUEUE,
    )
    alertmanager = alertmanager_tree(read_tree(source / "alertmanager/alertmanager.yml"), {})
    trees = {
        folder / "prometheus.yml": scale.prometheus(prometheus),
        folder / "alertmanager.yml": scale.alertmanager(alertmanager),
        folder / "collector.yaml": scale.collector(collector),
    }
    write_files(folder, source, trees, scale=scale)
    targets = source / "prometheus/targets/cadvisor.json"
    write_atomic(folder / "targets" / targets.name, targets.read_bytes())
    _write_provisioning(folder, source / "grafana/provisioning", scale, traced=jaeger)
    # Only now: tools that run already look at the folder meanwhile.
    for path, inode in before.items():
        if path.exists() and path.stat().st_ino == inode:
            path.unlink()


def _found_by_file(prometheus: Tree, *, machine: bool) -> None:
    """Take the API's targets from where it leaves them, and leave out cAdvisor where it isn't."""
    jobs = prometheus["scrape_configs"]
    for job in jobs:
        for discovery in job.get("file_sd_configs", ()):
            if discovery["files"] == ["targets/api.json"]:
                discovery["files"] = [f"{TARGETS}/api-*.json"]
    prometheus["scrape_configs"] = [job for job in jobs if machine or job["job_name"] != "cadvisor"]


def _write_provisioning(folder: Path, source: Path, scale: TimeScale, *, traced: bool) -> None:
    """Grafana's provisioning: scaled, with every folder that it looks for."""
    target = folder / "grafana/provisioning"
    for name in ("plugins", "alerting"):  # Grafana reports an error for each that is missing
        (target / name).mkdir(parents=True, exist_ok=True)
    sources = read_tree(source / "datasources/datasources.yaml")
    retained = [each for each in sources["datasources"] if traced or each["type"] != "jaeger"]
    for each in retained:
        options = each.get("jsonData", {})
        if "timeInterval" in options:
            options["timeInterval"] = scale.interval(options["timeInterval"])
        if not traced:
            options.pop("exemplarTraceIdDestinations", None)
    write_yaml(target / "datasources/datasources.yaml", sources | {"datasources": retained})
    boards = read_tree(source / "dashboards/dashboards.yaml")
    for provider in boards["providers"]:
        provider["options"]["path"] = str(folder / "dashboards")
    write_yaml(target / "dashboards/dashboards.yaml", boards)


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run the command and return its exit code: 2 where it can't be rendered."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder to write into; other files in it go")
    folder: Path = parser.parse_args(arguments).folder
    profiles = profiles_of(environ.get(PROFILES, ""))
    text = environ.get(TIME_SCALE) or "1"
    try:
        try:
            factor = float(text)
        except ValueError:
            raise UsageError(f"{TIME_SCALE}: {text!r} is not a number") from None
        port = environ.get("TESTBED_PORT_NODE_EXPORTER") or "9100"
        system = environ.get(JOB_NAMES, "").strip()
        try:
            jobs_of(system)
        except AliasError as error:
            raise UsageError(f"{JOB_NAMES}: {error}") from None
        render_compose(
            folder,
            source=root(),
            factor=factor,
            profiles=profiles,
            node_port=port,
            job_names=system,
        )
        given = {name: value for name, value in sorted(environ.items()) if _describes(name)}
        stack = {**EVIDENCE, "environment": given}
        write_atomic(folder / STACK_FILE, json.dumps(stack, indent=2) + "\n")
    except (DomainError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_COULD_NOT_RUN
    shown = ", ".join(sorted(profiles)) or "none"
    sys.stdout.write(f"configuration at time scale {factor:g}, profiles: {shown}\n")
    return 0


def _describes(name: str) -> bool:
    return name.startswith(("TESTBED_", "OTEL_", "COMPOSE_"))


if __name__ == "__main__":
    sys.exit(main())
