"""The load package's own options of Locust's command line and web UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_load import webguard
from testbed_load.command import KEY_VARIABLE, PLAN_VARIABLE, TRUTH_VARIABLE
from testbed_load.drifts import DRIFTS
from testbed_load.options import ARRIVALS, WEB_DEFAULT, WEB_PROFILES
from testbed_load.profiles import PROFILES
from testbed_load.shapes import SHAPES
from testbed_load.shapetext import EXAMPLE, FORM_EXAMPLE, FORM_KINDS

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

# Names of the options that the web UI shows.
SHOWN: Final = (
    *("load_profile", "rate", "shape", "arrivals"),
    *("drift", "severity", "column", "form", "duration", "seed"),
)


def add_options(parser: LocustArgumentParser) -> None:
    """Add the load package's options to Locust's; those shown in the web UI come first."""
    parser.add_argument(
        "--load-profile",
        choices=WEB_PROFILES,
        default=WEB_DEFAULT,
        help="What is sent. "
        + " ".join(f"{name}: {PROFILES[name].description}" for name in WEB_PROFILES),
    )
    parser.add_argument(
        "--rate", type=float, default=50.0, help="Requests per second, without a shape."
    )
    parser.add_argument(
        "--shape",
        default="",
        help=f"Rate over time, as '{EXAMPLE}'. Kinds: {', '.join(SHAPES)}.",
    )
    parser.add_argument(
        "--arrivals",
        choices=ARRIVALS,
        default=ARRIVALS[0],
        help="Evenly spaced, or drawn as a Poisson process.",
    )
    parser.add_argument(
        "--drift",
        choices=tuple(DRIFTS),
        default="covariate_shift",
        help="How the profile 'drifted' changes the rows.",
    )
    parser.add_argument(
        "--severity",
        type=float,
        default=1.0,
        help="How strong the drift is: 0 changes nothing, 1 is its stated size.",
    )
    parser.add_argument(
        "--column", default="", help="The column that a drift of one column moves, not its own."
    )
    parser.add_argument(
        "--form",
        default="",
        help=f"When rows drift, as '{FORM_EXAMPLE}'. Kinds: {', '.join(FORM_KINDS)}.",
    )
    parser.add_argument(
        "--duration", type=float, default=0.0, help="Seconds; 0 runs until it is stopped."
    )
    parser.add_argument(
        "--seed",
        default="",
        help="Seed of rows and drift; empty: another each time, which the output names.",
    )
    hidden: tuple[tuple[str, str | None, str, str | None], ...] = (
        ("--use-case", "TESTBED_LOAD_USE_CASE", "Use case whose rows are sent.", "diabetes"),
        ("--artefact", "TESTBED_LOAD_ARTEFACT", "Model artefact whose rows are sent.", None),
        ("--otlp-endpoint", None, "Base URL of an OTLP/HTTP receiver for the load's own.", None),
        ("--exchange", None, "File that says how another service is asked.", None),
        ("--load-plan", PLAN_VARIABLE, "Plan to play instead of a profile.", None),
        ("--truth-dir", TRUTH_VARIABLE, "Directory for the ground truth.", None),
        ("--max-fail-ratio", None, "Share of failed requests from which to end with 1.", None),
        ("--key-file", KEY_VARIABLE, "File with the API key that is sent.", None),
        (
            webguard.NAMES_OPTION,
            "TESTBED_LOAD_WEB_NAMES",
            "Host names by which the web UI may be asked, beside IP addresses and localhost.",
            "",
        ),
    )
    for flag, variable, text, default in hidden:
        parser.add_argument(
            flag, env_var=variable, default=default, help=text, include_in_web_ui=False
        )
