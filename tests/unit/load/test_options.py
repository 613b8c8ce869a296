"""Values from Locust's command line and web UI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed_load.errors import LoadError
from testbed_load.exchange import ReplyPaths, RequestTemplate, ServiceExchange
from testbed_load.forms import GradualForm
from testbed_load.options import UNTIL_STOPPED, check_host, plan_from_options
from testbed_load.plan import PhaseDrift, exchange_text

if TYPE_CHECKING:
    from pathlib import Path

FORM: dict[str, object] = {
    "load_profile": "drifted",
    "rate": "20",
    "drift": "scale",
    "severity": "0.5",
    "duration": "0",
    "seed": "3",
    "use_case": "diabetes",
    "artefact": None,
    "host": "http://127.0.0.1:8000",
}


def test_a_form_makes_a_plan() -> None:
    """Text becomes numbers, and no duration runs until it is stopped."""
    plan = plan_from_options(FORM)
    (phase,) = plan.phases
    assert (phase.rate, phase.duration, plan.seed) == (20.0, UNTIL_STOPPED, 3)
    assert phase.drift == PhaseDrift("scale", 0.5)


def test_without_a_seed_each_plan_has_another() -> None:
    """Two of a million are the same once in a million times; so three are drawn."""
    assert len({plan_from_options(FORM | {"seed": " "}).seed for _ in range(3)}) > 1


def test_a_drift_has_a_form_and_a_column() -> None:
    """As one writes them on a command line."""
    more = {
        "drift": "stuck_sensor",
        "column": " BMI ",
        "form": "gradual start=0.2",
        "duration": "60",
    }
    (phase,) = plan_from_options(FORM | more).phases
    assert phase.drift == PhaseDrift("stuck_sensor", 0.5, None, "BMI", GradualForm(start=0.2))


def test_a_service_is_asked_as_its_file_says(tmp_path: Path) -> None:
    """The command line names it; a file that breaks the schema is named with its field."""
    file = tmp_path / "exchange.json"
    exchange = ServiceExchange(RequestTemplate("/score"), ReplyPaths(prediction="$.class"))
    file.write_text(exchange_text(exchange))
    assert plan_from_options(FORM | {"exchange": str(file)}).service == exchange
    file.write_text('{"request": {"path": "score"}}')
    with pytest.raises(LoadError, match=r"exchange\.json: .*path"):
        plan_from_options(FORM | {"exchange": str(file)})
    with pytest.raises(LoadError, match="cannot read the exchange"):
        plan_from_options(FORM | {"exchange": str(tmp_path / "none.json")})


def test_a_form_without_a_drift_is_refused() -> None:
    """Nothing would drift by it."""
    with pytest.raises(LoadError, match="column and form are of a drift"):
        plan_from_options(FORM | {"load_profile": "normal", "form": "sudden", "duration": "60"})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("load_profile", "burst", "load_profile must be one of: normal, drifted; not 'burst'"),
        ("load_profile", "", "load_profile must be one of"),
        ("drift", "<script>", "drift must be one of"),
        ("rate", "fast", "rate must be a number, not 'fast'"),
        ("rate", "nan", "rate must be"),
        ("rate", "0", "rate must be"),
        ("severity", "-1", "severity must be"),
        ("severity", "inf", "severity must be a finite number"),
        ("form", "gradual", "duration must be more than 0 for a form of the drift"),
        ("form", "sideways", "duration must be more than 0"),
        ("duration", "-5", "duration must be"),
        ("seed", "1.5", "seed must be a whole number"),
        ("seed", "-1", "seed must be a whole number, 0 or more"),
    ],
)
def test_a_value_past_the_parser_is_refused_by_its_name(key: str, value: str, message: str) -> None:
    """The web UI checks nothing, so this does."""
    with pytest.raises(LoadError, match=message):
        plan_from_options(FORM | {key: value})


@pytest.mark.parametrize("host", [None, "", "127.0.0.1:8000", "ftp://x", "http://"])
def test_a_host_that_is_no_url_is_refused(host: str | None) -> None:
    """The message shows what one looks like."""
    with pytest.raises(LoadError, match=r"as http://127\.0\.0\.1:8000"):
        check_host({"host": host})


def test_a_url_is_a_host() -> None:
    """Both schemes, with and without a port."""
    for host in ("http://127.0.0.1:8000", "https://api.example"):
        assert check_host({"host": host}) == host
