"""What the models of a scenario are made of."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from testbed_rules.timescale import parse_duration


def _seconds(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=str | float),
    Field(ge=0, description="A duration as in Prometheus, for example 90s, 5m, 1h30m."),
]
Ratio = Annotated[float, Field(ge=0, le=1)]


class StrictModel(BaseModel):
    """Base of the scenario's parts: immutable; unknown keys and endless numbers refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(
        cls,
        source: Any,  # noqa: ANN401 - as pydantic has it
        handler: GetCoreSchemaHandler,
        /,
    ) -> CoreSchema:
        """Refuse YAML's truths where a field is a number: pydantic would take ``yes`` for 1."""
        found = handler(source)
        inner: Any = found
        while "fields" not in inner and "schema" in inner:
            inner = inner["schema"]
        for name, field in inner.get("fields", {}).items():
            kinds = _kinds(cls.model_fields[name].annotation)
            if kinds & {int, float} and not kinds & {bool, Any}:
                holder = field["schema"] if field["schema"]["type"] == "default" else field
                holder["schema"] = core_schema.no_info_before_validator_function(
                    _no_truth, holder["schema"]
                )
        return found


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        # pydantic names the field of a ValueError only.
        raise ValueError(  # noqa: TRY004
            "give a number: yes, no, on, off, true and false are truths"
        )
    return value


def _kinds(annotation: Any) -> set[Any]:  # noqa: ANN401 - a type's own form
    """The types that a union holds."""
    return {annotation}.union(*map(_kinds, get_args(annotation)))
