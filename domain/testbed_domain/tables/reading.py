"""What a caller may say about a table, and the error of one that can't be read."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self

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

    @classmethod
    def parse(
        cls,
        sep: str | None = None,
        decimal: str | None = None,
        encoding: str | None = None,
        kinds: Sequence[str] | None = None,
    ) -> Self:
        """What the options of a command line say.

        Args:
            sep: one character, or ``tab``.
            decimal: ``.`` or ``,``.
            encoding: a name that Python knows.
            kinds: ``COLUMN=KIND`` each.

        Raises:
            SourceError: a value is not one of those that there are.
        """
        sep = {"tab": "\t", "\\t": "\t"}.get(sep or "", sep)
        if sep is not None and (len(sep) != 1 or sep in '\r\n"'):
            raise SourceError(f"--sep {sep!r} is not one character: give , or ; or tab")
        if decimal is not None and decimal not in DECIMALS:
            raise SourceError(f"--decimal {decimal!r} is neither . nor ,: give one")
        if encoding is not None and not _of_text(encoding):
            raise SourceError(
                f"--encoding {encoding!r} is unknown: give a name like utf-8 or latin-1"
            )
        said: dict[str, TableKind] = {}
        for one in kinds or ():
            name, _, text = one.rpartition("=")
            kind = next((known for known in KINDS if known == text), None)
            if not name or kind is None:
                raise SourceError(
                    f"--as {one} is not COLUMN=KIND: KIND is one of {', '.join(KINDS)}"
                )
            if said.get(name, kind) != kind:
                raise SourceError(f"--as says {said[name]} and {kind} of the column {name}")
            said[name] = kind
        return cls(sep, decimal, encoding, said)


def _of_text(encoding: str) -> bool:
    """Whether it is an encoding of text; Python has some from bytes to bytes as well."""
    try:
        "".encode(encoding)
        codecs.lookup(encoding)
    except (LookupError, UnicodeError, ValueError):
        return False
    return True


def refuse_title(header: Sequence[object]) -> None:
    """Refuse a header most of whose names are empty: it is a title above the real one.

    Raises:
        ValueError: it is one.
    """
    named = sum(bool(str(name).strip()) for name in header if name is not None)
    if 2 * named < len(header) and len(header) > 2:  # noqa: PLR2004 - a label and a column
        raise ValueError(
            f"its first line names {named} of {len(header)} columns: remove what stands above the "
            "header"
        )
