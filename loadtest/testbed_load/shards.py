"""Which requests of a plan a process sends, where several share it; pure."""

from __future__ import annotations

from dataclasses import dataclass

from testbed_load.errors import LoadError


@dataclass(frozen=True, slots=True)
class Shard:
    """Every n-th request of each phase: which ones there are is the same for any number of shards.

    Attributes:
        number: of the shard, from 0.
        count: of all shards.

    Raises:
        LoadError: there is no such shard.
    """

    number: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise LoadError(
                f"worker {self.number + 1} is one too many: the load has {self.count} workers"
            )
