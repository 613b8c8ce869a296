"""Scrape targets for Prometheus's file_sd_configs: one file per replica, named by its port.

For stacks in which nobody else knows the ``service.instance.id`` of each start.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed_domain.files import write_atomic

from testbed_api.errors import PREFIX, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

PATTERN = "api-*.json"


def forget_targets(folder: Path) -> None:
    """Remove those of earlier starts: there may have been more replicas.

    Raises:
        SettingsError: the folder can't be changed.
    """
    try:
        for path in folder.glob(PATTERN):
            path.unlink()
    except OSError as error:
        raise _unusable(folder, error) from None


def write_target(folder: Path, host: str, port: int, instance: str) -> None:
    """Leave the target of a replica; Prometheus notices by itself.

    Args:
        folder: made where it is missing.
        host: name by which Prometheus reaches the management port.
        port: of the management port.
        instance: ``service.instance.id``, so that `up` carries that of the pushed series.

    Raises:
        SettingsError: the file can't be written.
    """
    groups = [{"targets": [f"{host}:{port}"], "labels": {"instance": instance}}]
    try:
        write_atomic(folder / PATTERN.replace("*", str(port)), json.dumps(groups) + "\n")
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{PREFIX}TARGETS_FOLDER: cannot write to {folder}: {error.strerror}")
