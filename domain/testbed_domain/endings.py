"""How a command ends: whatever happens, one line of a reason and an exit code that is not 1.

An exit code of 1 is an answer ("the verdict failed", "there is drift"), and Python leaves with it
at every exception that nobody catches. Imports nothing but the standard library, so that a command
is guarded before it imports what takes seconds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

EXIT_COULD_NOT_RUN: Final = 2
_ADVICE: Final = {
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that this user may use",
    errno.EPERM: "choose a place that this user may use",
    errno.ELOOP: "mend the symbolic link",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def run(main: Callable[[], int], program: str, interrupted: int = EXIT_COULD_NOT_RUN) -> NoReturn:
    """Leave the process with the exit code of a command, see :func:`guarded`.

    What libraries warn their callers of stays away from users, unless somebody asked for it.
    """
    # A caller that closed them, as daemons do, gets nothing, and no error.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for good
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        sys.warnoptions.append("ignore")  # for the processes that multiprocessing starts
    # A command that says nothing else ends at SIGTERM as at Ctrl-C: what it began is cleared away.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(guarded(main, program, interrupted))


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def guarded(main: Callable[[], int], program: str, interrupted: int = EXIT_COULD_NOT_RUN) -> int:
    """Run a command, its imports included, and return its exit code.

    Expected errors are the command's own affair. What is left is the operating system's refusals
    and interrupts, which get one line, and bugs, which keep their traceback.

    Args:
        main: imports and runs the command; returns its exit code.
        program: what a line on standard error begins with.
        interrupted: exit code after Ctrl-C.
    """
    try:
        code = _ended(main)
        sys.stdout.flush()  # a full disk shows here, not when Python ends and can't say so
    except KeyboardInterrupt:
        code = _said(f"{program}: interrupted", interrupted)
    except BrokenPipeError:
        code = EXIT_COULD_NOT_RUN  # whoever read the output has had enough
    except OSError as error:
        code = _said(f"{program}: {reason(error)}", EXIT_COULD_NOT_RUN)
    except RecursionError:
        code = _said(f"{program}: the input is nested too deeply", EXIT_COULD_NOT_RUN)
    except MemoryError:
        code = _said(f"{program}: out of memory: give it less at once", EXIT_COULD_NOT_RUN)
    except Exception:  # noqa: BLE001 - Python would leave with 1
        traceback.print_exc()
        code = EXIT_COULD_NOT_RUN
    _close_output()
    return code


def _ended(main: Callable[[], int]) -> int:
    try:
        return main()
    except SystemExit as ending:
        if isinstance(ending.__context__, BrokenPipeError):
            raise ending.__context__ from None  # Rich and Typer leave with 1 then
        if ending.code is None or isinstance(ending.code, int):
            return ending.code or 0
        return _said(str(ending.code), EXIT_COULD_NOT_RUN)


def reason(error: OSError) -> str:
    """What the operating system refused, about which file, and what to do; one line."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # Of a tree that could not be copied: each file with what was refused.
        _source, target, refused = error.args[0][0]
        return f"cannot copy to {target}: {refused}"
    words = [str(name) for name in (error.filename, error.filename2) if name is not None]
    words.append(error.strerror or " ".join(str(error).split()) or type(error).__name__)
    if error.errno in _ADVICE:
        words.append(_ADVICE[error.errno])
    return ": ".join(words)


def _said(line: str, code: int) -> int:
    with contextlib.suppress(OSError, ValueError):  # nobody hears it
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    return code


def _close_output() -> None:
    """Have Python not try again, at its very end, to write what could not be written."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
