"""What a run ran on, for the report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import psutil

PACKAGES = (
    "fastapi",
    "uvicorn",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-exporter-prometheus",
    "scikit-learn",
    "onnxruntime",
    "evidently",
    "locust",
    "pandas",
)


def describe_machine() -> dict[str, Any]:
    """Operating system, processor, memory and Python; nothing that names machine or user."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }


def own_version() -> str:
    """The version of this project, which the tags of git decide when it is installed."""
    return importlib.metadata.version("ml-observability-testbed")


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that a verdict depends on."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}
