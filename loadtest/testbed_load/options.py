"""Options of Locust's command line and web UI, and the plan that they make.

Values typed into the web UI come as text and past the parser's own checks, so all are checked
here, whichever way they came.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, get_args

from testbed_otel.masking import mask
from testbed_otel.urls import is_http_url

from testbed_load.arrivals import Arrivals
from testbed_load.drifts import DRIFTS
from testbed_load.errors import LoadError
from testbed_load.plan import read_exchange
from testbed_load.profiles import PROFILES, profile
from testbed_load.shapetext import parse_form, parse_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_load.plan import LoadPlan

Values: TypeAlias = "Mapping[str, object]"

# A burst ends by itself after some requests: that is a command's job, not a page's.
WEB_PROFILES: Final = tuple(name for name, kind in PROFILES.items() if kind.rate is not None)
WEB_DEFAULT: Final = "drifted"
"""What START alone plays: the profile by which there is something to see."""
ARRIVALS: Final[tuple[Arrivals, ...]] = get_args(Arrivals)
UNTIL_STOPPED: Final = 365 * 86400.0


def check_host(values: Values) -> str:
    """The service's address.

    Raises:
        LoadError: it is missing or no HTTP URL.
    """
    host = str(values.get("host") or "")
    if not is_http_url(host):
        raise LoadError(
            f"host must be the service's URL, as http://127.0.0.1:8000, not {mask(host)!r}"
        )
    return host


def plan_from_options(values: Values, run_id: str = "web") -> LoadPlan:
    """The plan that the options ask for.

    Args:
        values: option names to values, typed or as text.
        run_id: prefix of the request ids.

    Raises:
        LoadError: a value can't be used; names the option.
    """
    name = str(values["load_profile"])
    if name not in WEB_PROFILES:
        raise LoadError(f"load_profile must be one of: {', '.join(WEB_PROFILES)}; not {name!r}")
    drift = str(values["drift"])
    if drift not in DRIFTS:
        raise LoadError(f"drift must be one of: {', '.join(DRIFTS)}; not {drift!r}")
    artefact = values.get("artefact")
    shape = str(values.get("shape") or "").strip()
    arrivals = _arrivals(str(values.get("arrivals") or ARRIVALS[0]))
    duration = _real(values, "duration")
    form = str(values.get("form") or "").strip()
    exchange = values.get("exchange")
    if form and not duration:
        raise LoadError("duration must be more than 0 for a form of the drift")
    if not duration and (shape or arrivals != ARRIVALS[0]):
        raise LoadError("duration must be more than 0 for a shape and for drawn arrivals")
    return profile(
        name,
        seed=_whole(values, "seed") if str(values["seed"]).strip() else new_seed(),
        use_case=str(values["use_case"]),
        rate=None if shape else _real(values, "rate"),
        duration=duration or UNTIL_STOPPED,
        drift=drift,
        severity=_real(values, "severity"),
        artefact=Path(str(artefact)) if artefact else None,
        run_id=run_id,
        shape=parse_shape(shape) if shape else None,
        arrivals=arrivals,
        column=str(values.get("column") or "").strip() or None,
        form=parse_form(form) if form else None,
        service=read_exchange(Path(str(exchange))) if exchange else None,
    )


def new_seed() -> int:
    """A seed that nobody chose; whoever plays it says so, that it can be played again."""
    return secrets.randbelow(1_000_000)


def _arrivals(text: str) -> Arrivals:
    for known in ARRIVALS:
        if text == known:
            return known
    raise LoadError(f"arrivals must be one of: {', '.join(ARRIVALS)}; not {text!r}")


def _real(values: Values, key: str) -> float:
    try:
        return float(str(values[key]))
    except ValueError:
        raise LoadError(f"{key} must be a number, not {values[key]!r}") from None


def _whole(values: Values, key: str) -> int:
    text = str(values[key])
    if not text.isdecimal():
        raise LoadError(f"{key} must be a whole number, 0 or more, not {text!r}")
    return int(text)
