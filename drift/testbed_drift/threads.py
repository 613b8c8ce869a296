"""Numerical libraries on one thread: several of them on small matrices wait for each other."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def single_threaded() -> AbstractContextManager[object]:
    """Within it, the numerical libraries that are loaded use one thread."""
    limited: AbstractContextManager[object] = _controller(len(sys.modules)).limit(limits=1)
    return limited


@lru_cache(maxsize=1)
def _controller(_modules: int) -> ThreadpoolController:
    """What finds the libraries, which takes 10 ms: made anew where more modules are imported."""
    return ThreadpoolController()
