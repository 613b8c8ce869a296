"""What pydantic refuses, in plain words."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from testbed_domain.problems import problems


class Cat(BaseModel):
    """One side of a union."""

    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    """The other side."""

    kind: Literal["dog"]
    name: str = Field(min_length=1)


class Home(BaseModel):
    """The whole."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    pets: tuple[Annotated[Cat | Dog, Field(discriminator="kind")], ...] = Field(min_length=1)
    rent: float = Field(0.0, gt=-1)
    size: Literal["small", "large"] = "small"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, ["pets is missing"]),
        ({"pets": []}, ["pets needs at least 1"]),
        ({"pets": 3}, ["pets must be a list, not 3"]),
        (
            {"pets": [{"kind": "cat", "lives": 10}], "rent": "x"},
            ["pets[0].cat.lives must be at most 9, not 10", "rent must be a number, not 'x'"],
        ),
        (
            {"pets": [{"kind": "rat"}]},
            ["pets[0].kind must be one of 'cat', 'dog', not 'rat'; did you mean cat?"],
        ),
        ({"pets": [{"lives": 1}]}, ["pets[0].kind is missing"]),
        (
            {"pets": [{"kind": "dog", "name": ""}], "garden": 1},
            ["pets[0].dog.name must be a text that is not empty, not ''", "unknown field: garden"],
        ),
        (
            {"pets": [{"kind": "dog", "name": "a"}], "rent": float("inf"), "size": "big"},
            [
                "rent must be a finite number, not inf",
                "size must be 'small' or 'large', not 'big'",
            ],
        ),
        ([], ["the file must be an object, not []"]),
    ],
)
def test_every_problem_is_one_sentence_of_its_field(content: object, said: list[str]) -> None:
    """All at once; what only follows from another one is left out."""
    with pytest.raises(ValidationError) as caught:
        Home.model_validate(content)
    assert list(problems(caught.value.errors())) == said
