"""The page of other systems' metric names and PromQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from testbed_otel import names
from testbed_otel.aliases import ALIASES, JOBS, Alias, presets
from testbed_otel.settings import ALIASES as VARIABLE
from testbed_otel.settings import JOB_NAMES as JOBS_VARIABLE

from testbed.docs.markdown import code, codes, section, table
from testbed.recipes import FILE, read_recipes
from testbed.settings import Settings

TITLES: Final = {
    "fastapi-instrumentator": "a diabetes API",
    "titanic": "monitoring of a Titanic model",
    "ml-api": "monitoring of an ML API",
    "course": "a course on ML monitoring",
    "churn": "a churn model",
}
OWN: Final = {metric.prometheus for metric in names.METRICS}


def recipes() -> str:
    """The page."""
    chosen = presets(Settings.model_fields["metric_aliases"].default)
    return section(
        "# Recipes",
        "Dashboards and alerts that were written for another system find their metrics by a preset "
        f"here. `testbed run`, `testbed up` and Compose show the names of {codes(chosen)} beside "
        f"those of [the testbed](metrics.md); `{VARIABLE}` chooses others, and an empty one none. "
        "The API alone (`testbed serve`) shows them where the variable is set. Names are made at "
        "collection, so requests pay nothing.",
        "They cost storage: in a demo with one replica 155 series beside 296 others of the API and "
        "the drift job, most of them buckets, and about 1 ms of each collection (2.3 in place of "
        "1.2, with 16 pairs of route and status).",
        "Scores and detections come from the drift job, which pushes them; with "
        "`TESTBED_DRIFT_METRICS_PORT` it has a `/metrics` of its own too.",
        f"Rules that ask by job find their jobs where `{JOBS_VARIABLE}` names the system: "
        f"{_jobs()}. Metrics under the names below have that `job` in place of the testbed's own, "
        "and so has what is scraped; `up` has both. Nothing is stored twice. The testbed's own "
        "metrics, rules and dashboards stay as they are.",
        f"The expressions stand in `{FILE}`. A test runs each over a demo and wants data; those "
        "marked with * need containers, so they return data under Compose only.",
        *(block for preset in ALIASES for block in _preset(preset)),
    )


def _jobs() -> str:
    return "; ".join(
        f"{code(system)} makes " + ", ".join(f"{code(b)} of {code(a)}" for a, b in jobs.items())
        for system, jobs in JOBS.items()
    )


def _preset(preset: str) -> Iterator[str]:
    yield f"## `{preset}`: {TITLES[preset]}"
    yield (
        table(
            ("metric", "labels", "is"),
            ((code(alias.name), _labels(alias), _source(alias)) for alias in ALIASES[preset]),
        )
        if ALIASES[preset]
        else "Names no metrics of its own."
    )
    yield table(
        ("what", "PromQL"),
        (
            (f"{recipe.what} *" if recipe.containers else recipe.what, code(recipe.expr))
            for recipe in read_recipes()
            if recipe.preset == preset
        ),
    )


def _labels(alias: Alias) -> str:
    return codes(label for _, label in alias.labels)


def _source(alias: Alias) -> str:
    if alias.name in OWN:
        return "the testbed's own, always there"
    of = {"counter": "count", "mean": "mean", "summary": "count and sum"}.get(alias.kind, "")
    return f"{of} of {code(alias.source.name)}" if of else code(alias.source.name)
