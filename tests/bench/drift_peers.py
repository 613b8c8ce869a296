"""What Evidently's and NannyML's defaults flag in the same windows."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from .peers.environments import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    Pair = tuple[pd.DataFrame, pd.DataFrame]

FLAGS: Final = HERE / "nannyml_flags.py"
SUFFIX: Final = ".npz"
SECONDS: Final = 1_800


def evidently(pairs: Sequence[Pair], kinds: Mapping[str, str]) -> list[list[str]]:
    """Columns flagged by the default method, as Evidently's ``ValueDrift`` chooses it.

    Args:
        pairs: reference and window.
        kinds: columns to evaluate; ``numeric``, anything else is a category.
    """
    from evidently.legacy.calculations.stattests.registry import (  # noqa: PLC0415 - slow
        get_stattest,
    )

    flags = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for before, now in pairs:
            flagged = []
            for name, kind in kinds.items():
                of_kind, pair = "num" if kind == "numeric" else "cat", (before[name], now[name])
                if get_stattest(*pair, of_kind, None)(*pair, of_kind, None).drifted:
                    flagged.append(name)
            flags.append(flagged)
    return flags


def save(path: Path, pairs: Sequence[Pair], kinds: Mapping[str, str]) -> None:
    """Write windows for :func:`nannyml`; categories must be whole numbers as text."""
    held = [
        np.stack([frame[list(kinds)].astype(float).to_numpy() for frame in frames])
        for frames in zip(*pairs, strict=True)
    ]
    categories = [name for name, kind in kinds.items() if kind != "numeric"]
    np.savez(path, reference=held[0], current=held[1], columns=list(kinds), categories=categories)


def nannyml(python: Path, folder: Path) -> dict[str, list[list[str]]]:
    """Columns that NannyML's defaults flag in each window of the saved files, by file's stem.

    Args:
        python: interpreter of an environment that has NannyML.
        folder: of the files.
    """
    command = [str(python), str(FLAGS), *map(str, sorted(folder.glob(f"*{SUFFIX}")))]
    settings = os.environ | {"NML_DISABLE_USAGE_LOGGING": "1"}
    done = subprocess.run(
        command, env=settings, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    flags: dict[str, list[list[str]]] = json.loads(done.stdout.splitlines()[-1])
    return {name.removesuffix(SUFFIX): found for name, found in flags.items()}
