"""What must come of our rules: played, not read."""

import pytest


def test_errors_are_noticed_and_forgotten(testbed):
    """The alert comes within four minutes, and its end within ten."""
    run = testbed.play("../scenarios/errors.yaml")
    assert run.alert("TooManyErrors").fired_within("4m")
    assert run.alert("TooManyErrors").resolved_within("10m")
    assert run.assertion("failures are traced")
    assert run.passed


@pytest.mark.testbed_scenario("../scenarios/quiet.yaml")
def test_nothing_fires_without_a_reason(testbed_run):
    """Normal traffic wakes nobody up."""
    assert testbed_run.alert("TooManyErrors").silent


@pytest.mark.testbed_scenario("../scenarios/quiet.yaml")
def test_the_run_without_a_reason_is_shared(testbed_run):
    """Two tests of one scenario play it once."""
    assert testbed_run.passed
