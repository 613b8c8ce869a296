"""A user's Prometheus configuration: read, checked by promtool, and joined with that of a run."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.yamlfile import read_mapping

from testbed.errors import UsageError
from testbed.stack.addresses import USUAL_PORTS
from testbed.stack.asking import ask_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed_rules.timescale import Tree

    from testbed.stack.build import Tools

USED: Final = frozenset({"global", "rule_files", "scrape_configs"})
_GLOBAL: Final = (
    *("scrape_interval", "scrape_timeout", "evaluation_interval", "rule_query_offset"),
    "external_labels",
)
_STATIC: Final = "static_configs"
_DISCOVERY: Final = "_sd_configs"
_CREDENTIALS: Final = frozenset(
    {"authorization", "basic_auth", "bearer_token", "bearer_token_file", "http_headers", "oauth2"}
    | {"proxy_url", "tls_config"}
)
_HERE: Final = re.compile(r"(?:localhost|127\.0\.0\.1):(\d+)")
_FAILED: Final = re.compile(r"FAILED: (.+?)(?:\n\s*\n|\Z)", re.DOTALL)
_LINE: Final = re.compile(r"line (\d+)")
_BY_PORT: Final = {str(port): address for address, port in USUAL_PORTS.items()}


@dataclass(frozen=True, slots=True)
class OwnPrometheus:
    """A configuration that Prometheus takes.

    Attributes:
        path: the file.
        document: its content.
    """

    path: Path
    document: Mapping[str, Any]

    def joined(self, shipped: Tree) -> Tree:
        """The run's configuration with the user's intervals, external labels and static jobs.

        Args:
            shipped: the project's, with Compose addresses.
        """
        given = self.document.get("global") or {}
        shared = {key: given[key] for key in _GLOBAL if key in given}
        return {
            **shipped,
            "global": {**shipped["global"], **shared},
            "scrape_configs": [*shipped["scrape_configs"], *self._jobs(shipped)],
        }

    def jobs(self, shipped: Tree) -> tuple[str, ...]:
        """Names of the user's jobs that are scraped."""
        return tuple(str(job["job_name"]) for job in self._jobs(shipped))

    def _jobs(self, shipped: Tree) -> list[Tree]:
        there = {job["job_name"] for job in shipped["scrape_configs"]}
        return [
            {
                key: _mapped(value) if key == _STATIC else value
                for key, value in job.items()
                if key not in _CREDENTIALS and not key.endswith(_DISCOVERY)
            }
            for job in self.document.get("scrape_configs") or ()
            if job.get(_STATIC) and job["job_name"] not in there
        ]

    def notes(self, shipped: Tree) -> list[str]:
        """What of the file is not used, one line each."""
        lines = [f"`{key}` is not used" for key in self.document if key not in USED]
        lines += [
            f"`global.{key}` is not used"
            for key in self.document.get("global") or {}
            if key not in _GLOBAL
        ]
        there = {job["job_name"] for job in shipped["scrape_configs"]}
        for job in self.document.get("scrape_configs") or ():
            name = job["job_name"]
            if name in there:
                lines.append(f"the job {name} is that of the run, which scrapes its own component")
                continue
            unused = [key for key in job if key in _CREDENTIALS or key.endswith(_DISCOVERY)]
            lines += [f"`{key}` of the job {name} is not used" for key in unused]
            if not job.get(_STATIC):
                lines.append(f"the job {name} is not scraped: it has no static_configs")
        return lines


def read_own_prometheus(path: Path, tools: Tools) -> OwnPrometheus:
    """Read a user's configuration and have promtool check its syntax.

    Raises:
        UsageError: it can't be used; names file and line.
    """
    document = read_mapping(path)
    done = ask_tool([tools.path("promtool"), "check", "config", "--syntax-only", path])
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}"
        failed = _FAILED.search(said)
        reason = " ".join((failed[1] if failed else said).split())
        reason = reason.replace(f'parsing YAML file "{path}": ', "").replace(
            f"parsing YAML file {path}: ", ""
        )
        line = _LINE.search(reason)
        raise UsageError(f"{path}{f':{line[1]}' if line else ''}: {reason}")
    return OwnPrometheus(path, document)


@contextmanager
def own_rules(configuration: Path | None, rules: Path | None) -> Iterator[Path | None]:
    """The folder of the user's rules while the context lasts; None where the project's are used.

    Args:
        configuration: a Prometheus configuration, whose ``rule_files`` are meant.
        rules: a folder of rules, in place of these.

    Raises:
        UsageError: the configuration can't be read, or two of its files have one name.
    """
    if configuration is None or rules is not None:
        yield rules
        return
    patterns = read_mapping(configuration).get("rule_files") or ()
    files = _rule_files(configuration.resolve().parent, patterns)
    if not files:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="testbed-rules-") as folder:
        for name, file in files.items():
            shutil.copy(file, Path(folder) / name)
        yield Path(folder)


def _rule_files(base: Path, patterns: Any) -> dict[str, Path]:  # noqa: ANN401 - YAML
    """Name to path of the rule files."""
    found: dict[str, Path] = {}
    for pattern in patterns:
        path = base / str(pattern)
        matches = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not matches:
            raise UsageError(f"rule_files: {pattern} matches no file below {base}")
        for match in matches:
            name = match.name if match.suffix in {".yml", ".yaml"} else f"{match.name}.yml"
            if found.setdefault(name, match) != match:
                raise UsageError(
                    f"rule_files: {found[name]} and {match} have one name: rename one of them"
                )
    return found


def _mapped(groups: list[Tree]) -> list[Tree]:
    """Static targets, those on this machine at a component's usual port by its Compose address."""

    def address(target: str) -> str:
        local = _HERE.fullmatch(target)
        return _BY_PORT.get(local[1], target) if local else target

    return [group | {"targets": [address(str(t)) for t in group["targets"]]} for group in groups]
