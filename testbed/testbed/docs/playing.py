"""The pages of scenarios, drifts and shapes, from the scenario files and the registries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel
from testbed_domain.registry import kind_of
from testbed_domain.use_cases import USE_CASES
from testbed_load.drifts import DRIFTS
from testbed_load.forms import FORMS
from testbed_load.shapes import SHAPES
from testbed_load.shapetext import EXAMPLE

from testbed.coverage import alert_coverage, coverage_text, covering_text
from testbed.docs.markdown import code, codes, section, table
from testbed.docs.scenariopages import decision
from testbed.facts.configured import read_groups
from testbed.repetitions import FILE, Repetition, read_repetitions, summary
from testbed.resources import scenario_files, shipped_rules
from testbed.scenario import Scenario, read_scenario

MUST, MAY, MUST_NOT = "●", "○", "·"


def scenarios() -> str:
    """The page of the scenarios."""
    found = {name: read_scenario(path) for name, path in scenario_files().items()}
    covered = alert_coverage(read_groups(shipped_rules()), found)
    return section(
        "# Scenarios",
        "Played by `testbed run NAME`. Durations are production durations; a run divides them by "
        "its time scale, and rates are real requests per second. The real duration is that of the "
        "load; starting takes some seconds more, and settling at most what is given. An alert that "
        "is not listed must not fire. [Write your own](../how-to/bring-your-own.md#scenarios); "
        "[the schema](scenario.schema.json).",
        table(
            ("no.", "scenario", "must fire", "drift decision", "time scale", "real duration"),
            (
                (str(number), _link(name), *_overview(item))
                for number, (name, item) in enumerate(found.items(), start=1)
            ),
        ),
        "## Coverage",
        f"{coverage_text(covered)}. `testbed scenarios --rules FOLDER` shows the same of your own "
        "rules; each verdict says which alerts its run exercised.",
        table(
            ("alert", "exercised by"),
            (
                (_alert(alert), covering_text([*map(_link, by)], found))
                for alert, by in covered.items()
            ),
        ),
        *_repetitions(read_repetitions(FILE)),
        "## Alerts by scenario",
        f"{MUST} must fire, {MAY} may fire, {MUST_NOT} must not fire. The numbers are those of the "
        "scenarios above.",
        table(
            ("alert", *(f"[{n}](scenarios/{name}.md)" for n, name in enumerate(found, start=1))),
            _matrix(covered, found),
        ),
    )


def _repetitions(played: Sequence[Repetition]) -> Iterator[str]:
    """What came of the catalogue each time that it was played as a whole."""
    if not played:
        return
    yield "## Repetitions"
    yield (
        f"All scenarios with one seed after another: {summary(played)}, by "
        "`python -m testbed.playall --seed N --jobs J --record testbed/testbed/repetitions.jsonl`. "
        "Another seed gives other rows, labels and arrivals; what a machine of other processors or "
        "with other work does, these runs do not say."
    )
    yield table(
        ("day", "seed", "at a time, on processors", "passed", "took", "did not pass"),
        (
            (
                each.day.isoformat(),
                str(each.seed),
                f"{each.jobs} on {each.processors}",
                f"{each.scenarios - len(each.missed)} of {each.scenarios}",
                f"{each.minutes:.1f} min",
                " ".join(
                    (
                        *(f"{_link(name)}: {why}." for name, why in each.missed.items()),
                        *(f"{_link(name)}: once more, alone." for name in each.again),
                        each.remark,
                    )
                ).strip()
                or "nothing",
            )
            for each in played
        ),
    )


def _link(name: str) -> str:
    return f"[{name}](scenarios/{name}.md)"


def _alert(name: str) -> str:
    return f"[{name}](alerts.md#{name.lower()})"


def _matrix(
    covered: Mapping[str, tuple[str, ...]], found: Mapping[str, Scenario]
) -> Iterator[tuple[str, ...]]:
    """Alerts by scenario: must fire, may fire, must not fire."""
    for alert, by in covered.items():
        cells = (
            MUST if name in by else MAY if alert in _tolerated(item) else MUST_NOT
            for name, item in found.items()
        )
        yield (_alert(alert), *cells)


def _tolerated(item: Scenario) -> tuple[str, ...]:
    return (*item.allowed_alerts, *item.muted_alerts)


def _overview(item: Scenario) -> tuple[str, ...]:
    return (
        ", ".join(dict.fromkeys(_alert(alert.alert) for alert in item.expected_alerts))
        or "nothing",
        decision(item),
        f"{item.time_scale:g}",
        f"{item.duration / item.time_scale:.0f} s, settling {item.settle / item.time_scale:.0f} s",
    )


def shapes() -> str:
    """The page of the shapes."""
    return section(
        "# Shapes of the load",
        "What the rate of a phase does, in place of a constant `rate`: in a scenario "
        "`shape: {kind: ramp, start: 10, end: 80}`, on the command line and in Locust's form "
        f"`{EXAMPLE}`. A shape is stretched to the duration of its phase; rates are requests per "
        "real second, at most 5,000. With `arrivals: poisson` requests come at times drawn from "
        "the seed, else at even distances along the shape.",
        table(
            ("shape", "what it is", "fields"),
            ((code(kind), _first_line(shape), _fields(shape)) for kind, shape in SHAPES.items()),
        ),
    )


def _first_line(shape: type[BaseModel]) -> str:
    return (shape.__doc__ or "").partition("\n")[0]


def _fields(shape: type[BaseModel]) -> str:
    fields = {name: field for name, field in shape.model_fields.items() if name != "kind"}
    return ", ".join(
        code(name) if field.is_required() else f"{code(name)} ({field.default:g})"
        for name, field in fields.items()
    )


def drifts() -> str:
    """The page of the drifts."""
    cases = USE_CASES.values()
    return section(
        "# Drifts",
        "What a phase of a scenario, or `testbed load drifted`, does to the rows before they are "
        "sent. Severity 0 changes nothing, 1 is what stands here, more changes more. No row is "
        "made that the API would refuse: numbers stay within the bounds of their column. The label "
        "of a row stays what it was, except under `concept_drift`.",
        table(
            ("drift", "at severity 1", *(f"columns in {case.name}" for case in cases)),
            (
                (
                    code(drift.name),
                    drift.description,
                    *(
                        codes(feature.name for feature in drift.columns(case.schema))
                        or ("none: labels only" if drift.of_labels else "none: can't be used")
                        for case in cases
                    ),
                )
                for drift in DRIFTS.values()
            ),
        ),
        "`column` names another column, in a drift of one column: "
        f"{codes(drift.name for drift in DRIFTS.values() if drift.choices)}.",
        "## Forms",
        "When rows drift during a phase, whatever drifts: `form` of a phase's drift, as in "
        "`drift: {name: scale, form: {kind: gradual}}`. It gives the share of the requests that "
        "drift; each that does drifts by the whole severity, and the truth says of each request "
        "whether it did. Without a form every request drifts.",
        table(
            ("form", "what it is", "fields"),
            ((code(kind_of(form)), _first_line(form), _fields(form)) for form in FORMS),
        ),
    )
