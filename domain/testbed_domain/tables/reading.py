"""What a caller may say about a table, and the error of one that can't be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from testbed_domain.errors import DomainError

TableKind = Literal["number", "date", "boolean", "category"]
KINDS: Final[tuple[TableKind, ...]] = ("number", "date", "boolean", "category")
DECIMALS: Final = (".", ",")


class SourceError(DomainError):
    """A table that can't be read. One line that names it and says what to do."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a caller says about tables; what is left out is found out.

    Attributes:
        sep: character between the columns of a CSV file, or None.
        decimal: decimal mark of numbers in text, ``.`` or ``,``, or None.
        encoding: of a CSV or JSON file, or None.
        kinds: column to the kind as which it is compared.
    """

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    kinds: Mapping[str, TableKind] = field(default_factory=dict)
