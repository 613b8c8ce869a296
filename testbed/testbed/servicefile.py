"""A service in a file of its own, for ``--service FILE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError
from testbed_domain.problems import problems
from testbed_domain.yamlfile import read_yaml

from testbed.errors import UsageError
from testbed.targets import Service, TargetModel

if TYPE_CHECKING:
    from pathlib import Path

_SERVICE: Final[TypeAdapter[TargetModel]] = TypeAdapter(Service)


def read_service(path: Path) -> TargetModel:
    """Read and check a service file; its relative paths begin at its folder.

    Raises:
        UsageError: the file is missing, no YAML, or breaks the schema; names the field.
    """
    data = read_yaml(path, "the service")
    try:
        return _SERVICE.validate_python(data).placed(path.parent)
    except ValidationError as error:
        found = "; ".join(problems(error.errors()))
        raise UsageError(f"{path}: {found}") from error
