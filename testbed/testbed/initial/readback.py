"""Whether a file that ``testbed init`` is about to write says what it was meant to say."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError
from testbed_domain.files import write_atomic
from testbed_domain.problems import problem

from testbed.errors import UsageError
from testbed.servicefile import read_service
from testbed.targets import Service, TargetModel

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVICE: Final[TypeAdapter[TargetModel]] = TypeAdapter(Service)


def require_meant(text: str, meant: Mapping[str, Any]) -> None:
    """Read a service's file as a run will.

    Args:
        text: of the file.
        meant: the document that it is to hold.

    Raises:
        UsageError: a run would refuse it, or read anything else.
    """
    try:
        expected = _SERVICE.validate_python(meant)
    except ValidationError as error:
        raise UsageError(
            f"nothing is written: a run would refuse the file: {problem(error.errors())}"
        ) from None
    with TemporaryDirectory() as folder:
        file = Path(folder) / "service.yaml"
        write_atomic(file, text)
        try:
            found = read_service(file)
        except UsageError as error:
            said = str(error).replace(str(file), file.name)
            raise UsageError(f"nothing is written: a run can't read it: {said}") from None
        if found != expected.placed(file.parent):
            raise UsageError(
                "nothing is written: of what the service shows, a run would read something else in "
                "the file; write it by hand, as docs/how-to/own-service.md says"
            )
