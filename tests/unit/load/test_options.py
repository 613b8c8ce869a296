"""Values from Locust's command line and web UI."""

from __future__ import annotations

import pytest
from testbed_load.errors import LoadError
from testbed_load.options import UNTIL_STOPPED, check_host, plan_from_options
from testbed_load.plan import PlannedDrift

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
    assert phase.drift == PlannedDrift("scale", 0.5)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("load_profile", "burst", "load_profile must be one of: normal, drifted; not 'burst'"),
        ("load_profile", "", "load_profile must be one of"),
        ("drift", "<script>", "drift must be one of"),
        ("rate", "fast", "rate must be a number, not 'fast'"),
        ("rate", "nan", "rate must be a number, more than 0"),
        ("rate", "0", "rate must be a number, more than 0"),
        ("severity", "-1", "severity must be a number, 0 or more"),
        ("severity", "inf", "severity must be a number"),
        ("duration", "-5", "duration must be a number, more than 0"),
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
