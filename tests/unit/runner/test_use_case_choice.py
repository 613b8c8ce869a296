"""Which use case a command means: one by name, or the one in the user's own table."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from testbed.errors import UsageError
from testbed.owndata import OwnData
from testbed.scenario import Phase, Scenario
from testbed.targets.http import HttpService
from testbed.usecasechoice import choose_use_case, require_fit
from testbed_domain.tables.reading import ReadOptions
from testbed_load.errors import LoadError
from testbed_load.exchange import RequestTemplate, ServiceExchange
from testbed_load.plan import Only, PhaseDrift

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact


def _silent(text: str) -> None:
    raise AssertionError(f"nothing is left out, but: {text}")


def test_a_table_and_its_target(tmp_path: Path) -> None:
    """What is left out is said, the rest becomes the schema."""
    path = tmp_path / "mine.csv"
    path.write_text("key,a,t\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(30)))
    said: list[str] = []
    use_case = choose_use_case("any", OwnData(path, "t"), said.append)
    assert use_case.schema.names == ("a",)
    assert said == [
        "data: the target t is learnt as a classification, as its values suggest (or by --task)",
        "data: column key is left out: it is an id: whole numbers that differ in every row",
    ]


def test_file_and_target_must_fit_the_use_case(tmp_path: Path) -> None:
    """`any` needs both, and a use case with a name knows its target."""
    for data, target in ((None, "t"), (tmp_path, None), (None, None)):
        with pytest.raises(UsageError, match="needs a table, --data FILE, and --target COLUMN"):
            choose_use_case("any", OwnData(data, target), _silent)
    with pytest.raises(UsageError, match="iris knows its own target"):
        choose_use_case("iris", OwnData(target="species"), _silent)
    with pytest.raises(UsageError, match="--task belongs to --use-case any; iris"):
        choose_use_case("iris", OwnData(task="regression"), _silent)
    assert choose_use_case("iris", OwnData(), _silent).name == "iris"


def test_what_is_said_of_a_table_needs_one(tmp_path: Path) -> None:
    """Options of reading without a table, and kinds of columns that a use case knows, are wrong."""
    with pytest.raises(UsageError, match="are of a table: give --data FILE"):
        choose_use_case("iris", OwnData(reading=ReadOptions(sep=";")), _silent)
    with pytest.raises(UsageError, match="--as belongs to --use-case any; iris knows the kinds"):
        choose_use_case(
            "iris", OwnData(tmp_path, reading=ReadOptions(kinds={"a": "number"})), _silent
        )
    assert (
        choose_use_case("iris", OwnData(tmp_path, reading=ReadOptions(sep=";")), _silent).name
        == "iris"
    )


def test_a_scenario_and_its_model_must_fit(small_artefact: Artefact) -> None:
    """Columns that it names are there, and as many reference rows as its doses need."""
    column = small_artefact.schema.names[0]
    rows = small_artefact.splits["reference"]

    def scenario(column: str, rows: int) -> Scenario:
        drift = PhaseDrift(name="scale", only=Only(column=column, above=1))
        phase = Phase(name="a", duration=60, rate=1, drift=drift)
        return Scenario(name="s", title="S", description="", phases=(phase,), reference_rows=rows)

    require_fit(scenario(column, rows), small_artefact)
    with pytest.raises(UsageError, match="is about Colour, which the use case"):
        require_fit(scenario("Colour", rows), small_artefact)
    numbers = scenario(column, rows).model_copy(update={"task": "regression"})
    with pytest.raises(UsageError, match=r"needs a regression, and the use case .* is a classif"):
        require_fit(numbers, small_artefact)
    with pytest.raises(UsageError, match=f"needs {rows + 1} reference rows .* has {rows}"):
        require_fit(scenario(column, rows + 1), small_artefact)
    for asked in (column, "Colour"):
        exchange = ServiceExchange(RequestTemplate(path=f"/x?of={{{asked}}}"))
        service = HttpService(command=("x",), request=exchange.request)
        with nullcontext() if asked == column else pytest.raises(LoadError, match=r"\{Colour\}"):
            require_fit(scenario(column, rows), small_artefact, service)
    other = HttpService(command=("x",), use_cases=("iris", "titanic"))
    with pytest.raises(UsageError, match="service answers rows of iris, titanic, and is to be"):
        require_fit(scenario(column, rows), small_artefact, other)
