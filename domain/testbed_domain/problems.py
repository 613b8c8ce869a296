"""What pydantic refuses, in plain words: the field, what it must be, what it was."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

Place: TypeAlias = tuple[str | int, ...]

_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("more than {gt}", "gt"),
    "greater_than_equal": ("{ge} or more", "ge"),
    "less_than": ("less than {lt}", "lt"),
    "less_than_equal": ("at most {le}", "le"),
    "finite_number": ("a finite number", ""),
    "float_type": ("a number", ""),
    "float_parsing": ("a number", ""),
    "int_type": ("a whole number", ""),
    "int_parsing": ("a whole number", ""),
    "int_from_float": ("a whole number", ""),
    "string_type": ("a text", ""),
    "bool_type": ("true or false", ""),
    "bool_parsing": ("true or false", ""),
    "tuple_type": ("a list", ""),
    "list_type": ("a list", ""),
    "dict_type": ("an object", ""),
    "model_type": ("an object", ""),
    "dataclass_type": ("an object", ""),
    "model_attributes_type": ("an object", ""),
    "literal_error": ("{expected}", "expected"),
    "string_pattern_mismatch": ("a text like {pattern}", "pattern"),
    "string_too_short": ("a text that is not empty", ""),
}


def problems(errors: Iterable[Mapping[str, Any]], whole: str = "the file") -> tuple[str, ...]:
    """One sentence for each error, without a full stop.

    Args:
        errors: as ``ValidationError.errors()`` gives them.
        whole: what to call the whole, where no field is to blame.
    """
    return tuple(sentence for _, sentence in placed_problems(errors, whole))


def placed_problems(
    errors: Iterable[Mapping[str, Any]], whole: str = "the file"
) -> tuple[tuple[Place, str], ...]:
    """As :func:`problems`, each with the place of its field."""
    found = list(errors)
    places = [tuple(error["loc"]) for error in found]
    return tuple(
        (place, _sentence(error, whole))
        for error, place in zip(found, places, strict=True)
        # What holds a refused value is counted without it: "needs at least one" says nothing more.
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    )


def problem(errors: Iterable[Mapping[str, Any]], whole: str = "the file") -> str:
    """The first of :func:`problems`."""
    return problems(errors, whole)[0]


def field_name(place: Iterable[str | int]) -> str:
    """``phases[0].rate`` for ``("phases", 0, "rate")``."""
    name = ""
    for step in place:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def nearest(word: object, known: Iterable[str]) -> str:
    """A question that names the nearest of known words; empty where none is near."""
    near = difflib.get_close_matches(str(word), list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _quoted(text: object) -> list[str]:
    return re.findall(r"'([^']+)'", str(text))


def _sentence(error: Mapping[str, Any], whole: str) -> str:
    place = field_name(error["loc"])
    kind, context = error["type"], error.get("ctx") or {}
    if kind in _WORDS:
        return _WORDS[kind](place, error)
    if kind in _BOUNDS:
        text, key = _BOUNDS[kind]
        must = text.format(**{key: _plain(context.get(key))}) if key else text
        hint = nearest(error["input"], _quoted(must)) if kind == "literal_error" else ""
        return f"{place or whole} must be {must}, not {error['input']!r}{hint}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place or whole}: {message[0].lower()}{message[1:]}" if message else place or whole


def _plain(bound: object) -> object:
    return f"{bound:g}" if isinstance(bound, float) else bound


def _tagged(place: str, error: Mapping[str, Any]) -> str:
    return f"{place}.{_discriminator(error)}".removeprefix(".")


def _discriminator(error: Mapping[str, Any]) -> str:
    """The field; of a union that a function decides it is that of the function's name."""
    return str(error["ctx"]["discriminator"]).strip("'").removesuffix("()")


_WORDS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], str]]] = {
    "missing": lambda place, _: f"{place} is missing",
    "union_tag_not_found": lambda place, error: f"{_tagged(place, error)} is missing",
    "union_tag_invalid": lambda place, error: (
        f"{_tagged(place, error)} must be one of {error['ctx']['expected_tags']}, "
        f"not {error['ctx']['tag']!r}"
        f"{nearest(error['ctx']['tag'], _quoted(error['ctx']['expected_tags']))}"
    ),
    "extra_forbidden": lambda place, _: f"unknown field: {place}",
    "unexpected_keyword_argument": lambda place, _: f"unknown field: {place}",
    "too_short": lambda place, error: f"{place} needs at least {error['ctx']['min_length']}",
}
