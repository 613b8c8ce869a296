"""Latency: the API's durations lie within the load's, and follow what the load and the log saw.

Two bounds hold for every request and so for every bucket and sum: the API's duration is at most the
load's, and at least the inference (and an injected latency) within it. Between them the scale is
found by variation. From a row's time in the log to its answer the load measures what the API's
duration less its inference measures as well, but for the load's own delay. Both change from one
export to the next, one to one. With delay on either side the true scale lies between the two
regressions, of the one on the other and the reverse (Frisch, 1934). Delay that grows with the
API's own, as on a machine that is busy, makes both smaller, so that the limit leaves room for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from testbed.checks.findings import lines_result
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from testbed.facts.timing import Bin, RequestTiming

Array = np.ndarray

NAME: Final = "measured latency"
INFERENCE: Final = "measured inference"

HELD_UP: Final = 0.01
"""Share of the requests whose process may have been held up between last byte and clock."""

HELD_UP_COUNT: Final = 3

SUM_SECONDS: Final = 0.002
"""The same as a mean: seconds per request by which the API's sum may exceed the load's."""

MIN_BINS: Final = 15
"""Fewer can't say anything of a scale."""

FEW_BINS: Final = 3
"""Bins whose means can't be equal by chance."""

SCALE_LOW: Final = 0.78
SCALE_HIGH: Final = 1.25
"""Limits of the scale, which is 1. Runs on quiet and on busy machines gave 0.86 to 1.03."""

PHASE_LOW: Final = 0.65
"""The lower limit in a single phase, which has few exports. Phases gave 0.81 and more."""

MIXED: Final = 0.1
"""Share of the exports whose inferences may be those of other requests."""

GRAIN: Final = 0.002
"""Seconds that one inference may weigh in the mean of its bin: it may be counted before an export,
and its request after it."""

QUEUED: Final = 3.0
"""Times the mean inference of the exports with the quickest ones, above which they wait in turn."""

QUICK: Final = 0.1
"""Share of the exports that are those."""

ERRORS: Final = 2.0
"""Standard errors that a scale must be beyond these limits by."""

FOLLOWS: Final = 0.1
"""Least squared correlation. It was 0.95 and more; 0 means that nothing was measured."""

CONSTANT: Final = 1e-4
"""Relative spread of means over bins below which a duration is a constant."""


class Scale(NamedTuple):
    """Where the scale of the API's durations lies, with its standard error."""

    low: float
    high: float
    error: float
    follows: float


def check_latency(timing: RequestTiming, queued: Collection[str] = ()) -> tuple[CheckResult, ...]:
    """Durations of requests and of inferences.

    Args:
        timing: by the API and by the load.
        queued: phases in which requests waited where the API can't measure it: there its durations
            need not follow what the load saw.
    """
    # A queue outlasts its phase: the bin that holds its end counts as little.
    bins = tuple(each for each in timing.bins if not {each.phase, *each.touches} & set(queued))
    timing = timing.model_copy(update={"bins": _matched(bins)})
    if not timing.requests or not timing.server_count:
        reason = "the API timed no request"
        return (not_applicable(NAME, Stage.INSTRUMENT, reason),)
    faults = [*_outside(timing), *_injected(timing, "request", timing.server_sum)]
    within = _within(timing)
    # What is known to be wrong of inferences must not be taken for the requests'.
    fine = _fine(timing.bins)
    scale = None if within else _scale_of(fine)
    faults += _shape(timing, fine, scale)
    summary = (
        f"durations of {timing.server_count} requests lie within the load's, mean "
        f"{_milli(timing.server_sum / timing.server_count)} of "
        f"{_milli(timing.client_sum / timing.requests)}"
    )
    if scale is not None:
        summary += f", and follow what load and log saw (scale {scale.low:.2f} to {scale.high:.2f})"
    else:
        few = "exports are too coarse" if len(timing.bins) >= MIN_BINS else "too few exports"
        reason = timing.skipped or ("inferences are wrong" if within else few)
        summary += f"; their scale could not be found: {reason}"
    results = [lines_result(NAME, Stage.INSTRUMENT, summary, faults)]
    if timing.inferences:
        inference = _injected(timing, "inference", timing.inference_sum)
        if not faults:  # else it is the requests that are too short
            inference += within
        mean = _milli(timing.inference_sum / timing.inferences)
        summary = f"inferences lie within their requests, mean {mean}"
        results.append(lines_result(INFERENCE, Stage.INSTRUMENT, summary, inference))
    return tuple(results)


def _matched(bins: tuple[Bin, ...]) -> tuple[Bin, ...]:
    """Those whose inferences are those of their requests.

    A process that stands still over an export, as while it loads a version, ends inferences before
    it and their requests after it: such bins seem to infer for longer than their requests last.
    Where many do, that is no matter of a few exports, and all stay.
    """
    found = tuple(each for each in bins if each.inference <= each.server)
    return found if len(bins) - len(found) <= MIXED * len(bins) else bins


def _fine(bins: tuple[Bin, ...]) -> tuple[Bin, ...]:
    """Those in which what is left of a request without its inference is known well enough.

    Where inferences themselves wait for their turn, a few of them on the wrong side of an export
    outweigh all that a request does besides. These are the ones that last far longer than the
    quickest of the run: a model that always takes long is no queue. Those that last longer than
    their requests are another matter, which stays.
    """
    if not bins:
        return ()
    alone = QUEUED * float(np.quantile([each.inference for each in bins], QUICK))
    return tuple(
        each
        for each in bins
        if each.inference <= max(alone, GRAIN * each.requests) or each.inference > each.server
    )


def _outside(timing: RequestTiming) -> list[str]:
    """The API's duration of a request is at most the load's."""
    if timing.unanswered:
        return []  # what the load gave up, the API may have gone on with
    faults = []
    missing = max(0, timing.requests - timing.server_count)
    room = max(HELD_UP_COUNT, HELD_UP * timing.requests) + missing
    for bound in timing.bounds:
        if bound.server < bound.client - room:
            faults.append(
                f"the API's durations are too long: it has {bound.server} requests of up to "
                f"{_milli(bound.le)}, the load saw {bound.client}"
            )
            break
    if timing.server_sum > timing.client_sum + SUM_SECONDS * timing.requests:
        faults.append(
            f"the API's durations are too long: {timing.server_sum:.3f} s in all, the load waited "
            f"{timing.client_sum:.3f} s"
        )
    return faults


def _injected(timing: RequestTiming, what: str, measured: float) -> list[str]:
    """An injected latency is part of the duration of each request that the load saw slowed down."""
    minimum = sum(fault.seconds * (fault.requests - fault.quick) for fault in timing.faults)
    # Sleeping can end a clock's tick early.
    if measured >= 0.999 * minimum:
        return []
    return [
        (
            f"the API's {what} durations are too short: {measured:.3f} s in all, of which an "
            f"injected latency alone makes {minimum:.3f} s"
        )
    ]


def _within(timing: RequestTiming) -> list[str]:
    if timing.inference_sum <= timing.server_sum + SUM_SECONDS or timing.unanswered:
        return []
    return [
        (
            f"the API's inferences take longer than their requests: "
            f"{timing.inference_sum:.3f} s of {timing.server_sum:.3f} s"
        )
    ]


def _shape(timing: RequestTiming, fine: Sequence[Bin], scale: Scale | None) -> list[str]:
    """The API's durations change with what the load and the log saw, one to one."""
    if scale is None:
        return _constant(timing.bins) if len(timing.bins) >= FEW_BINS else []
    wrong = _out_of_shape(fine, scale, SCALE_LOW)
    if wrong:
        return [wrong]
    faults = []
    for phase in dict.fromkeys(each.phase for each in fine if each.phase):
        bins = [each for each in fine if each.phase == phase]
        own = _scale_of(bins)
        if own is not None and (wrong := _out_of_shape(bins, own, PHASE_LOW)):
            faults.append(f"in the phase {phase} {wrong}")
    return faults


def _constant(bins: Sequence[Bin]) -> list[str]:
    server = np.array([each.server for each in bins])
    mean = float(np.mean(server))
    if np.ptp(server) > CONSTANT * abs(mean):
        return []
    return [f"the API's duration is a constant, {_milli(mean)}"]


def _out_of_shape(bins: Sequence[Bin], scale: Scale, low: float) -> str:
    for constant in _constant(bins):
        return constant
    waited = float(np.mean([each.client for each in bins]))
    mean = float(np.mean([each.server for each in bins]))
    if mean > waited + SUM_SECONDS:
        return (
            f"the API's durations are too long: mean {_milli(mean)}, the load waited "
            f"{_milli(waited)}"
        )
    if scale.follows < FOLLOWS:
        return (
            "the API's durations don't follow those of the load: squared correlation "
            f"{scale.follows:.2f} over {len(bins)} exports"
        )
    if scale.high + ERRORS * scale.error < low:
        return (
            f"the API's durations are too short: {scale.high:.2f} of what load and log saw, at "
            f"least {low} expected"
        )
    if scale.low - ERRORS * scale.error > SCALE_HIGH:
        return (
            f"the API's durations are too long: {scale.low:.2f} of what load and log saw, at "
            f"most {SCALE_HIGH} expected"
        )
    return ""


def _scale_of(bins: Sequence[Bin]) -> Scale | None:
    """The widest bounds of the scale by least squares and by medians, which no few bins can move.

    None where there is too little to find it from.
    """
    if len(bins) < MIN_BINS:
        return None
    after = np.array([each.after for each in bins])
    own = np.array([each.server - each.inference for each in bins])
    first, second = np.triu_indices(len(bins), 1)
    steps, own_steps = after[second] - after[first], own[second] - own[first]
    after, own = after - after.mean(), own - own.mean()
    spread, shared, total = float(after @ after), float(after @ own), float(own @ own)
    if not spread or not total:
        return Scale(0.0, 0.0, 0.0, 0.0)
    follows = shared**2 / (spread * total)
    slope = shared / spread
    error = math.sqrt(total * max(0.0, 1 - follows) / (len(bins) - 2) / spread)
    lows, highs = [slope], [slope / follows if follows else math.inf]
    lows.append(_median_slope(steps, own_steps))
    reverse = _median_slope(own_steps, steps)
    highs.append(1 / reverse if reverse > 0 else math.inf)
    return Scale(min(lows), max(highs), error / max(follows, FOLLOWS), follows)


def _median_slope(steps: Array, other: Array) -> float:
    """Median of the slopes of all pairs, each weighted by its distance (Theil, Sen)."""
    apart = np.abs(steps) > 0
    if not apart.any():
        return 0.0
    slopes, weights = other[apart] / steps[apart], np.abs(steps[apart])
    order = np.argsort(slopes)
    sums = np.cumsum(weights[order])
    return float(slopes[order][np.searchsorted(sums, sums[-1] / 2)])


def _milli(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
