"""How a service of others is told the true label of a prediction; pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from testbed_load.headertemplates import HeaderTemplates
from testbed_load.pathtemplate import PathText, quoted, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.features import Label

ID: Final = "{id}"
LABEL: Final = "{label}"
_PLACEHOLDER: Final = re.compile(r"\{(?:id|label)\}")
_BOUNDED: Final = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, config=_BOUNDED)
class LabelTemplate:
    """The request that tells a service one true label, after the scenario's delay."""

    path: PathText = Field(default="/labels", description="Path; it may hold `{id}` and `{label}`.")
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: HeaderTemplates = Field(
        default_factory=dict,
        description="Name to value; `${NAME}` is an environment variable, `{id}` the "
        "prediction's id.",
    )
    body: Any = Field(
        default_factory=lambda: {"prediction_id": ID, "label": LABEL},
        description="JSON with `{id}`, of the prediction, and `{label}`; null sends no body.",
    )

    @model_validator(mode="after")
    def _says_both(self) -> Self:
        text = f"{self.path} {json.dumps(self.body)}"
        for placeholder in (ID, LABEL):
            if placeholder not in text:
                raise ValueError(f"neither path nor body says {placeholder}")
        if (left := re.search(r"\{[^{}]*\}", _PLACEHOLDER.sub("", self.path))) is not None:
            raise ValueError(f"the path asks for {left[0]}: there are {ID} and {LABEL}")
        return self

    def request(self, prediction_id: str, label: Label) -> tuple[str, str | None]:
        """Path and body of one label.

        Raises:
            ValueError: the id can't stand in a path.
        """
        path = _with(self.path, prediction_id, label, quoted)
        if self.body is None:
            return path, None
        return path, json.dumps(_filled(self.body, prediction_id, label), allow_nan=False)


def _filled(node: Any, prediction_id: str, label: Label) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, dict):
        return {key: _filled(value, prediction_id, label) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, prediction_id, label) for value in node]
    if node == LABEL:
        return label  # of its own type: a number stays one
    if isinstance(node, str):
        return _with(node, prediction_id, label, text_of)
    return node


def _with(text: str, prediction_id: str, label: Label, write: Callable[[Label], str]) -> str:
    """Both in place of their placeholders, in one look at the template: an id may hold one."""
    values: dict[str, Label] = {ID: prediction_id, LABEL: label}
    return _PLACEHOLDER.sub(lambda found: write(values[found[0]]), text)
