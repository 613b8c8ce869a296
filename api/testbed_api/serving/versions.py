"""Several model versions side by side: champion, challenger, and the one that was champion before.

All that requests go by is one frozen value, replaced as a whole in the event loop: a request sees
either the old or the new state, and keeps the model that it began with until it is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.features import difference
from testbed_otel.names import MODEL_VERSION, OUTCOME, SHADOW_PREDICTIONS

from testbed_api.errors import ApiError
from testbed_api.serving.model import RequestOptions, ServedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from testbed_domain.encoding import Scored
    from testbed_domain.features import Row

    from testbed_api.telemetry.instruments import Instruments

logger = logging.getLogger(__name__)

# Shadow predictions at a time; more are dropped, so that a slow challenger costs no request.
SHADOW_LIMIT: Final = 64


def bucket(key: str) -> float:
    """Where a key falls in 0 to 1: the same in every process, and evenly spread."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True, slots=True)
class Routing:
    """Which version answers.

    Attributes:
        champion: answers, unless the challenger does.
        challenger: answers its share, or predicts in the champion's shadow.
        previous: the champion before this one, kept loaded for a rollback.
        split: the challenger's share of the keys, 0 to 1.
        shadow: whether the challenger predicts what the champion answers, unseen.
    """

    champion: ServedModel
    challenger: ServedModel | None = None
    previous: ServedModel | None = None
    split: float = 0.0
    shadow: bool = False

    def choose(self, key: str) -> ServedModel:
        """The version for a key; the champion while the challenger is not ready."""
        challenger = self.challenger
        if challenger is None or not self.split or challenger.problem is not None:
            return self.champion
        return challenger if bucket(key) < self.split else self.champion

    def promoted(self) -> Routing:
        """The challenger as champion.

        Raises:
            ApiError: there is no challenger that is ready.
        """
        if self.challenger is None or self.challenger.problem is not None:
            raise ApiError(409, "other", "there is no challenger that is ready")
        return Routing(self.challenger, previous=self.champion)

    def rolled_back(self) -> Routing:
        """Champion and previous champion exchanged.

        Raises:
            ApiError: there is no previous champion.
        """
        if self.previous is None:
            raise ApiError(409, "other", "there is no previous champion")
        return replace(self, champion=self.previous, previous=self.champion)

    def models(self) -> dict[str, ServedModel]:
        """Role to version, of the roles that are filled."""
        roles = {
            "champion": self.champion,
            "challenger": self.challenger,
            "previous": self.previous,
        }
        return {role: model for role, model in roles.items() if model is not None}

    def ratios(self) -> dict[str, float]:
        """Version to its share of the requests."""
        ratios = dict.fromkeys((model.artefact.version for model in self.models().values()), 0.0)
        split = 0.0 if self.challenger is None or self.challenger.problem else self.split
        ratios[self.champion.artefact.version] += 1 - split
        if self.challenger is not None:
            ratios[self.challenger.artefact.version] += split
        return ratios


class Versions:
    """The versions that are loaded. Belongs to the event loop.

    Args:
        champion: the first version.
        instruments: the API's own metrics.

    Attributes:
        routing: which version answers.
        store: is notified of every change.
    """

    def __init__(self, champion: ServedModel, instruments: Instruments) -> None:
        self._instruments = instruments
        self._changing = asyncio.Lock()
        self._shadows: set[asyncio.Task[None]] = set()
        self.routing = Routing(champion)
        self.store: Callable[[Routing], None] = lambda _: None
        instruments.model_loaded.follow(self._loaded)
        self._show()

    def describe(self) -> dict[str, Any]:
        """Versions by role, with their shares, ready for JSON."""
        routing, ratios = self.routing, self.routing.ratios()
        return {
            "split": routing.split,
            "shadow": routing.shadow,
            "versions": [
                {"role": role, "traffic": ratios[model.artefact.version], **model.describe()}
                for role, model in routing.models().items()
            ],
        }

    async def load(self) -> None:
        """Load what has a role; the champion first."""
        for model in self.routing.models().values():
            await model.load()
        self._show()

    def remember(self, previous: ServedModel) -> None:
        """Make a version the champion before this one, as before a restart."""
        self._change(replace(self.routing, previous=previous))

    def put(self, challenger: ServedModel, *, split: float, shadow: bool) -> None:
        """Make a version the challenger; it gets requests once it is loaded.

        Raises:
            ApiError: it is the champion itself, or its inputs or classes are others.
        """
        self._check(challenger)
        self._change(replace(self.routing, challenger=challenger, split=split, shadow=shadow))

    async def challenge(self, challenger: ServedModel, *, split: float, shadow: bool) -> None:
        """Load a version while others serve, then make it the challenger.

        Raises:
            ApiError: it doesn't load or doesn't fit; nothing has changed then.
        """
        async with self._changing:
            self._check(challenger)
            await challenger.load()
            if challenger.problem is not None:
                await challenger.close()
                raise ApiError(409, "other", challenger.problem)
            self._change(replace(self.routing, challenger=challenger, split=split, shadow=shadow))

    async def traffic(self, *, split: float, shadow: bool) -> None:
        """Change the challenger's share."""
        async with self._changing:
            self._change(replace(self.routing, split=split, shadow=shadow))

    async def withdraw(self) -> None:
        """Take the challenger away."""
        async with self._changing:
            self._change(replace(self.routing, challenger=None, split=0.0, shadow=False))

    async def promote(self) -> None:
        """See :meth:`Routing.promoted`."""
        async with self._changing:
            self._change(self.routing.promoted())

    async def roll_back(self) -> None:
        """See :meth:`Routing.rolled_back`."""
        async with self._changing:
            self._change(self.routing.rolled_back())

    def _check(self, challenger: ServedModel) -> None:
        champion, artefact = self.routing.champion.artefact, challenger.artefact
        if artefact.version == champion.version:
            raise ApiError(409, "other", "the challenger is the champion itself")
        if differs := difference(artefact.schema, champion.schema):
            raise ApiError(
                409,
                "other",
                f"the challenger's feature schema is not the champion's: {differs}; train it on "
                "the champion's schema",
            )

    def _change(self, routing: Routing) -> None:
        before = self.routing.models().values()
        self.routing = routing
        after = routing.models().values()
        for model in before:
            if model not in after:
                self._instruments.traffic.set(0, {MODEL_VERSION: model.artefact.version})
                model.retire()
        self._show()
        ratios = ", ".join(f"{version} {ratio:.0%}" for version, ratio in routing.ratios().items())
        logger.info("traffic: %s%s", ratios, ", with a shadow" if routing.shadow else "")
        self.store(routing)

    def _loaded(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """What has a role, and whether it is loaded. Any thread may ask: routing is one value."""
        for model in self.routing.models().values():
            yield int(model.problem is None), model.attributes

    def _show(self) -> None:
        for version, ratio in self.routing.ratios().items():
            self._instruments.traffic.set(ratio, {MODEL_VERSION: version})
        challenger = self.routing.challenger
        if challenger is not None and self.routing.shadow:
            for _, outcomes in SHADOW_PREDICTIONS.values:
                for outcome in outcomes:
                    self._count(challenger, outcome, 0)

    def shadow(self, answered: ServedModel, rows: Sequence[Row], scored: Sequence[Scored]) -> None:
        """Let the challenger predict what the champion has answered; returns at once."""
        routing = self.routing
        challenger = routing.challenger
        if not routing.shadow or challenger is None or answered is challenger:
            return
        if challenger.problem is not None or len(self._shadows) >= SHADOW_LIMIT:
            self._count(challenger, "dropped", len(rows))
            return
        challenger.users += 1
        task = asyncio.ensure_future(self._compare(challenger, rows, scored))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _compare(
        self, challenger: ServedModel, rows: Sequence[Row], scored: Sequence[Scored]
    ) -> None:
        deadline = time.monotonic() + challenger.timeout
        try:
            for start in range(0, len(rows), challenger.chunk):
                part = slice(start, start + challenger.chunk)
                try:
                    own = await challenger.score(rows[part], deadline, RequestOptions())
                except ApiError:
                    self._count(challenger, "failed", len(rows[part]))
                    continue
                for mine, theirs in zip(own, scored[part], strict=True):
                    outcome = "agreed" if mine.agrees(theirs) else "disagreed"
                    self._count(challenger, outcome, 1)
        finally:
            challenger.release()

    def _count(self, model: ServedModel, outcome: str, number: int) -> None:
        self._instruments.shadow.add(
            number, {MODEL_VERSION: model.artefact.version, OUTCOME: outcome}
        )

    async def close(self) -> None:
        """Finish shadows and queues."""
        if self._shadows:
            await asyncio.wait(self._shadows)
        for model in self.routing.models().values():
            await model.close()
