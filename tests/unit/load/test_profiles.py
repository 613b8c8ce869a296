"""The ready-made profiles, and how Locust is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from testbed_load.command import LOCUSTFILE, locust_command, web_command
from testbed_load.errors import LoadError
from testbed_load.plan import LoadPlan, PhaseDrift, parse_plan, plan_text
from testbed_load.profiles import profile


def made(name: str, options: dict[str, Any] | None = None) -> LoadPlan:
    """A profile's plan."""
    return profile(name, seed=1, use_case="diabetes", **(options or {}))


def test_the_profiles_differ_in_drift_only() -> None:
    """The drifted profile sends at the normal one's rate."""
    normal, drifted = made("normal").phases[0], made("drifted", {"severity": 2.0}).phases[0]
    assert (normal.rate, normal.drift) == (50.0, None)
    assert (drifted.rate, drifted.drift) == (50.0, PhaseDrift("covariate_shift", 2.0))


def test_a_burst_is_100_requests_as_fast_as_they_go() -> None:
    """One command, one hundred requests."""
    (phase,) = made("burst").phases
    assert (phase.requests, phase.rate, phase.users) == (100, None, 10)


def test_users_without_a_rate_send_as_fast_as_they_go() -> None:
    """`--users` is a closed loop."""
    (phase,) = made("normal", {"users": 3, "duration": 5.0}).phases
    assert (phase.rate, phase.pool, phase.planned(1)) == (None, 3, None)


def test_requests_at_a_rate_say_how_long_it_takes() -> None:
    """The duration then follows from the count."""
    plan = made("normal", {"requests": 20, "rate": 10.0})
    assert (plan.duration, plan.phases[0].planned(1)) == (2.0, 20)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("wild", {}, "unknown profile 'wild'; choose one of: normal, drifted, burst"),
        ("normal", {"rate": 0.0}, "rate must be more than 0, not 0"),
        ("normal", {"duration": float("inf")}, "duration must be a finite number"),
        ("normal", {"requests": 0}, "requests must be 1 or more"),
        ("normal", {"users": -1}, "users must be 1 or more"),
        ("drifted", {"severity": -0.1}, "severity must be 0 or more"),
        ("drifted", {"drift": "sideways"}, "unknown drift 'sideways'"),
        ("normal", {"timeout": 0.0}, "timeout must be more than 0"),
    ],
)
def test_an_unusable_option_is_refused_by_its_name(
    name: str, options: dict[str, Any], message: str
) -> None:
    """One line says which, and how."""
    with pytest.raises(LoadError, match=message):
        made(name, options)


def test_every_profile_survives_the_plan_file() -> None:
    """What the command makes is what Locust reads."""
    for name in ("normal", "drifted", "burst"):
        plan = made(name)
        assert parse_plan(plan_text(plan)) == plan


def test_the_commands_name_the_locustfile() -> None:
    """Locust gets the file that exists, the plan and the host."""
    command = locust_command(Path("plan.json"), Path("truth"), "http://127.0.0.1:1")
    assert LOCUSTFILE.exists()
    assert command[command.index("-f") + 1] == str(LOCUSTFILE)
    assert command[command.index("--load-plan") + 1] == "plan.json"
    assert "--headless" in command
    assert "--headless" not in web_command("http://127.0.0.1:1", port=1, use_case="iris")
