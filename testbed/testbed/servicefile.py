"""A service in a file of its own, for ``--service FILE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter
from testbed_domain.yamlmodel import read_model

from testbed.targets import Service, TargetModel

if TYPE_CHECKING:
    from pathlib import Path

_SERVICE: Final[TypeAdapter[TargetModel]] = TypeAdapter(Service)


def read_service(path: Path) -> TargetModel:
    """Read and check a service file; its relative paths begin at its folder.

    Raises:
        UsageError: the file is missing, no YAML, or breaks the schema; names the
            line and the field of each mistake.
    """
    model = read_model(path, "the service", _SERVICE.validate_python, _SERVICE.json_schema)
    return model.placed(path.parent)
