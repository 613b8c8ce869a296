"""A scikit-learn model as a skops file whose bytes depend on the model alone."""

from __future__ import annotations

import io
import json
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from testbed_domain.errors import DomainError

_SCHEMA: Final = "schema.json"
_ARRAY: Final = ".npy"


def skops_bytes(model: object) -> bytes:
    """The model as skops writes it, with its memory addresses numbered and without its times.

    Equal models give equal bytes so, and with them an equal version.

    Raises:
        DomainError: skops is not installed.
    """
    try:
        from skops.io import dumps  # noqa: PLC0415 - an extra, and takes seconds
    except ImportError:
        raise DomainError(
            "exporting skops needs its extra: pip install 'testbed-domain[skops]'"
        ) from None
    with ZipFile(io.BytesIO(dumps(model))) as source:
        schema = json.loads(source.read(_SCHEMA))
        numbers: dict[int, int] = {}
        _number(schema, numbers)
        target = io.BytesIO()
        with ZipFile(target, "w", ZIP_DEFLATED) as out:
            for name in sorted(source.namelist(), key=lambda name: _renamed(name, numbers)):
                data = json.dumps(schema).encode() if name == _SCHEMA else source.read(name)
                # ZipInfo's own date is the first that the format knows.
                out.writestr(ZipInfo(_renamed(name, numbers)), data, ZIP_DEFLATED)
    return target.getvalue()


def _number(node: Any, numbers: dict[int, int]) -> None:  # noqa: ANN401 - any JSON
    """Replace object ids, which are memory addresses, by numbers in the order of their coming."""
    if isinstance(node, list):
        for item in node:
            _number(item, numbers)
    elif isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        if isinstance(node.get("file"), str) and node["file"].endswith(_ARRAY):
            identifier = int(node["file"].removesuffix(_ARRAY))
            numbers.setdefault(identifier, len(numbers))
            node["file"] = _renamed(node["file"], numbers)
        for item in node.values():
            _number(item, numbers)


def _renamed(name: str, numbers: dict[int, int]) -> str:
    if not name.endswith(_ARRAY):
        return name
    return f"{numbers[int(name.removesuffix(_ARRAY))]:08}{_ARRAY}"
