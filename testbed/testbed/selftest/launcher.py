"""``python -m testbed.selftest.launcher PATCH MODULE ARGUMENTS``: run a module with a patch.

``PATCH`` is ``module:function`` of :mod:`testbed.selftest.patches`. The function is called first;
then the module runs as ``python -m MODULE ARGUMENTS`` would run it.
"""

from __future__ import annotations

import importlib
import runpy
import sys


def apply(patch: str) -> None:
    """Call the function of a patch."""
    home, _, function = patch.partition(":")
    getattr(importlib.import_module(home), function)()


def main() -> None:
    """Apply the patch and run the module."""
    patch, module, *arguments = sys.argv[1:]
    if module == "locust":
        importlib.import_module("locust")  # gevent must come before all else in this process
    apply(patch)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
