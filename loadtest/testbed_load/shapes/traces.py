"""A shape that was recorded: rates of a file of one's own."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from testbed_domain.files import read_regular

from testbed_load.shapes.base import SHAPES, Knot, Rate, ShapeModel

COLUMNS: Final = ("seconds", "rate")
MAX_ROWS: Final = 100_000

Point = tuple[Annotated[float, Field(ge=0)], Rate]


@SHAPES.register
class TraceShape(ShapeModel):
    """Rates as they were recorded, stretched to the phase's duration."""

    kind: Literal["trace"] = "trace"
    points: Annotated[
        tuple[Point, ...],
        Field(
            min_length=2,
            max_length=MAX_ROWS,
            description="Seconds from the trace's begin and the rate there; straight lines between "
            "them. In a scenario `file` may stand in their place: a CSV with the columns "
            "`seconds` and `rate`, beside the scenario.",
        ),
    ]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - as pydantic has it
        if not isinstance(data, dict) or "file" not in data:
            return data
        if "points" in data:
            raise ValueError("give either file or points")
        folder = (info.context or {}).get("folder")
        if folder is None:
            raise ValueError("a file is named by scenarios only; give points")
        rest = {key: value for key, value in data.items() if key != "file"}
        return rest | {"points": read_points(Path(folder) / str(data["file"]))}

    @field_validator("points")
    @classmethod
    def _ascending(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        times = [seconds for seconds, _ in points]
        if times != sorted(times):
            raise ValueError("the seconds of points must not go back")
        if times[0] != 0 or times[-1] == 0:
            raise ValueError("the seconds of points begin at 0 and end later")
        return points

    @property
    def description(self) -> str:
        """See the base class."""
        rates = [rate for _, rate in self.points]
        return f"as recorded, between {min(rates):g}/s and {max(rates):g}/s"

    def knots(self) -> tuple[Knot, ...]:
        """See the base class."""
        length = self.points[-1][0]
        return tuple(Knot(seconds / length, rate) for seconds, rate in self.points)


def read_points(path: Path) -> list[tuple[float, float]]:
    """The points of a CSV with the columns ``seconds`` and ``rate``.

    Raises:
        ValueError: it can't be read, or a line is no point; says which.
    """
    try:
        text = read_regular(path).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error.reason}") from error
    lines = csv.DictReader(text.splitlines())
    if missing := [name for name in COLUMNS if name not in (lines.fieldnames or ())]:
        raise ValueError(f"{path} lacks the column {missing[0]}; it needs {' and '.join(COLUMNS)}")
    points = []
    for line in lines:
        try:
            points.append((float(line["seconds"]), float(line["rate"])))
        except (TypeError, ValueError):
            raise ValueError(
                f"{path}, line {lines.line_num}: seconds and rate must be numbers"
            ) from None
    return points
