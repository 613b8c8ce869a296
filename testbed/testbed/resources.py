"""Where the data of the project lies: configuration files and scenarios of the checkout."""

from __future__ import annotations

from pathlib import Path

from testbed.errors import TestbedError, UsageError


def root() -> Path:
    """The checkout's folder: it holds ``prometheus/``, ``alertmanager/``, ``scenarios/``."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "prometheus" / "prometheus.yml").is_file():
        raise TestbedError(
            f"the configuration files are missing below {folder}; "
            "run testbed from a checkout that `make demo` has set up"
        )
    return folder


def scenario_files() -> dict[str, Path]:
    """Name to file of every scenario that the project ships."""
    return {path.stem: path for path in sorted((root() / "scenarios").glob("*.yaml"))}


def find_scenario(name: str) -> Path:
    """The file of a scenario given by name or by path."""
    shipped = scenario_files()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return path
    raise UsageError(f"no scenario {name!r}; there are {', '.join(shipped)}, or give a YAML file")
