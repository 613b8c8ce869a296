"""The files of ``testbed init``: whatever a service shows, they say what they were meant to."""

from __future__ import annotations

import pytest
from testbed.errors import UsageError
from testbed.initial.files import ServiceDraft, scenario_file
from testbed.initial.guess import Guess
from testbed.initial.look import Looked
from testbed.initial.readback import require_meant

from tests.support.injections import BREAKS, INJECTED
from tests.support.yamltext import load_yaml

HALF = "\ud800"
"""Of a letter, which no YAML holds."""


@pytest.mark.parametrize("mark", [each for each in BREAKS if each != HALF], ids=ascii)
def test_whatever_is_found_is_written_as_a_value(mark: str) -> None:
    """Quoted in what is read, in one line of what is not."""
    said = f"a{mark}{INJECTED}"
    looked = Looked("http://x", answer={"prediction": 1, said: {"id": said}}, refused=said)
    draft = ServiceDraft(
        name="null",
        url="http://x",
        command=None,
        directory=None,
        rules=f"/{said}",
        path=Guess("/predict", said),
        body=Guess({said: "{row}"}, "a guess"),
        headers={"X-Key": "a#b: c"},
        looked=looked,
        use_case="iris",
    )
    text = draft.text()
    assert text.count("\n") == len(text.splitlines())
    require_meant(text, draft.meant())
    assert draft.meant()["request"]["body"] == {said: "{row}"}


def test_what_no_yaml_holds_is_refused() -> None:
    """In words."""
    path, body = Guess("/predict", f"a guess{HALF}"), Guess({HALF: "{row}"}, "")
    draft = ServiceDraft(
        "shop", "http://x", None, None, None, path, body, {}, Looked("http://x"), "iris"
    )
    with pytest.raises(UsageError, match="nothing is written: a run can't read it"):
        require_meant(draft.text(), draft.meant())


def test_a_file_that_says_something_else_is_not_written() -> None:
    """Nor one that a run would refuse."""
    meant = {"service": "shop", "url": "http://x"}
    require_meant("{service: shop, url: 'http://x'}", meant)
    for text, reason in (
        ("{service: shop, url: 'http://y'}", "would read something else"),
        (
            "{service: shop, url: 'http://x', colour: 1}",
            "can't read it: service.yaml:1: unknown field",
        ),
        ("{", "can't read it"),
    ):
        with pytest.raises(UsageError, match=reason):
            require_meant(text, meant)
    with pytest.raises(UsageError, match="a run would refuse the file"):
        require_meant("{}", {"service": "prometheus", "url": "http://x"})


def test_an_alert_of_any_name_stays_in_its_comment() -> None:
    """Once it is no comment any more it is one value."""
    text = scenario_file("shop", "diabetes", ["A\nphases: []", "B"])
    assert load_yaml(text)["phases"][0]["name"] == "normal"
    assert len(text.split("alert: ")) == 3
    assert r'{alert: "A\nphases: []", phase' in text
