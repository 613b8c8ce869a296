"""Where the data of the project lies: configuration files and scenarios.

In a checkout they are its folders beside the packages; a wheel brings the same folders along
(``assets`` in ``testbed/pyproject.toml``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from testbed_domain.errors import DomainError

from testbed.errors import UsageError

_PACKAGE: Final = Path(__file__).resolve().parent


def root(package: Path = _PACKAGE) -> Path:
    """The folder that holds ``prometheus/``, ``alertmanager/``, ``scenarios/``.

    Args:
        package: where ``testbed`` is installed.

    Returns:
        The checkout, or, without one, what the wheel brought.

    Raises:
        DomainError: there is neither.
    """
    for folder in (package.parents[1], package / "_assets"):
        if (folder / "prometheus" / "prometheus.yml").is_file():
            return folder
    raise DomainError(
        f"the configuration files are missing below {package.parents[1]}; install the package "
        "ml-observability-testbed anew, or run testbed from a checkout"
    )


def shipped_rules(source: Path | None = None) -> Path:
    """Folder of the project's rules, or of those of another place like :func:`root`."""
    return (source or root()) / "prometheus" / "rules"


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
    raise UsageError(
        f"there is no scenario {name!r}; choose from {', '.join(shipped)}, or give a YAML file"
    )
