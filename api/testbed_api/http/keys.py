"""API keys: who may ask, and for how many predictions.

A key is 256 random bits, so its plain SHA-256 can be kept: nothing shorter than the key itself can
be guessed. The keys file has one key per line, ``#`` begins a comment:

    NAME  SHA256-IN-HEX  [PREDICTIONS-PER-SECOND  [BURST]]

A request for labels, or for anything else that needs a key, counts as one prediction.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from testbed_domain.files import read_regular

from testbed_api.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PREFIX: Final = "tbk_"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
FIELDS: Final = range(2, 5)
# Each is the value of a metric's attribute.
MAX_KEYS: Final = 100
# One in a quarter of an hour. Less would hardly ever come back.
MIN_RATE: Final = 0.001
# What the metrics call a caller whose key is none; no key may have that name.
UNKNOWN: Final = "unknown"

Verdict = Literal["accepted", "limited", "refused"]


def new_key() -> str:
    """A key that nobody has."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class TokenBucket:
    """A rate limit: ``burst`` predictions at once, ``rate`` per second in the long run.

    Attributes:
        rate: tokens that come back per second; ``inf`` limits nothing.
        burst: most tokens that it holds.
    """

    rate: float
    burst: float
    _tokens: float = field(init=False)
    _filled: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float, count: int = 1) -> float:
        """Take tokens, all or none.

        Args:
            now: seconds of a clock that never goes back.
            count: how many.

        Returns:
            0.0 where they were there, else the seconds until they are; ``inf`` where there are
            never so many at once.
        """
        if math.isinf(self.rate):
            return 0.0
        if self._filled is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens >= count:
            self._tokens -= count
            return 0.0
        return math.inf if count > self.burst else (count - self._tokens) / self.rate

    def give(self, count: int) -> None:
        """Give tokens back."""
        self._tokens = min(self.burst, self._tokens + count)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request may go on.

    Attributes:
        verdict: what the metrics count.
        name: of the key, or ``unknown``.
        retry_after: seconds until the key's next request; 0 unless it is limited.
        bucket: the key's limit; None where it is unknown.
    """

    verdict: Verdict
    name: str
    retry_after: float = 0.0
    bucket: TokenBucket | None = None


class KeyRing:
    """All keys, by what is kept of them.

    Args:
        keys: digest to the key's name and its limit.
        clock: seconds of a clock that never goes back.
    """

    def __init__(
        self, keys: dict[str, tuple[str, TokenBucket]], clock: Callable[[], float]
    ) -> None:
        self._keys = keys
        self.clock = clock

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the keys."""
        return tuple(name for name, _ in self._keys.values())

    def decide(self, presented: str | None) -> Admission:
        """Evaluate the key that a request presents, None where it has none."""
        # Looked up by its digest: the time that takes says nothing of any key.
        found = None if presented is None else self._keys.get(digest(presented))
        if found is None:
            return Admission("refused", UNKNOWN)
        name, bucket = found
        wait = bucket.take(self.clock())
        return Admission("limited" if wait else "accepted", name, wait, bucket)


def read_keys(path: Path, clock: Callable[[], float]) -> KeyRing:
    """Read a keys file.

    Raises:
        SettingsError: it can't be read, or a line is wrong; the line is named, never shown.
    """
    try:
        lines = read_regular(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the keys file {path}: {error}") from None
    keys: dict[str, tuple[str, TokenBucket]] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"keys file {path}, line {number}"
        name, hashed, bucket = _parse(words, where)
        if hashed in keys or name in {known for known, _ in keys.values()}:
            raise SettingsError(f"{where}: this key or its name was there before")
        keys[hashed] = (name, bucket)
    if not 0 < len(keys) <= MAX_KEYS:
        raise SettingsError(f"keys file {path}: {len(keys)} keys; there may be 1 to {MAX_KEYS}")
    return KeyRing(keys, clock)


def _parse(words: list[str], where: str) -> tuple[str, str, TokenBucket]:
    if len(words) not in FIELDS or not DIGEST.fullmatch(words[1]):
        raise SettingsError(
            f"{where}: write NAME SHA256 [RATE [BURST]]; make a line with: testbed keys new NAME"
        )
    if not NAME.fullmatch(words[0]) or words[0] == UNKNOWN:
        raise SettingsError(f"{where}: a name has up to 40 letters, digits, '_', '.', '-'")
    try:
        rate = float(words[2]) if len(words) > 2 else math.inf  # noqa: PLR2004 - the third word
        burst = float(words[3]) if len(words) > 3 else max(1.0, rate)  # noqa: PLR2004 - the fourth
    except ValueError:
        rate = burst = math.nan
    if not (rate >= MIN_RATE and burst >= 1 and (math.isinf(rate) or math.isfinite(burst))):
        raise SettingsError(
            f"{where}: the rate must be at least {MIN_RATE:g} a second, the burst 1 or more"
        )
    return words[0], words[1], TokenBucket(rate, burst)
