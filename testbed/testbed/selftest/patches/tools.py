"""What patches have in common."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def wrap(owner: type[Any], name: str, change: Callable[..., Any]) -> None:
    """Replace a method by ``change``, which gets the original first.

    Args:
        owner: the class.
        name: of the method; an ``AttributeError`` where there is none.
        change: called as ``change(original, instance, *arguments)``.
    """
    original = getattr(owner, name)

    def planted(self: Any, *arguments: Any, **options: Any) -> Any:
        return change(original, self, *arguments, **options)

    setattr(owner, name, planted)


def put(module: ModuleType, name: str, value: object) -> None:
    """Replace what a module holds under a name.

    Raises:
        AttributeError: it holds nothing there.
    """
    getattr(module, name)
    setattr(module, name, value)


class Every:
    """True for every n-th call: a share of the calls without a random generator."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._calls = count(1)

    def __call__(self) -> bool:
        """Whether this call is one of them."""
        return next(self._calls) % self._n == 0
