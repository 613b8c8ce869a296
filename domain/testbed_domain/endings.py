"""How a command ends: whatever happens, one line of a reason and an exit code that is not 1.

An exit code of 1 is an answer ("the verdict failed", "there is drift"), and Python leaves with it
at every exception that nobody catches. Imports what the interpreter has loaded anyway, and all else
where it is needed: an interrupt is one line as soon as the interpreter itself has started.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False  # the module of that name takes as long as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Final, NoReturn

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

    def prepared() -> int:
        _prepare()
        return main()

    sys.exit(guarded(prepared, program, interrupted))


def _prepare() -> None:
    import signal  # noqa: PLC0415 - see the module
    import warnings  # noqa: PLC0415 - the same
    from pathlib import Path  # noqa: PLC0415 - the same

    # A caller that closed them, as daemons do, gets nothing, and no error.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for good
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        sys.warnoptions.append("ignore")  # for the processes that multiprocessing starts
    # A command that says nothing else ends at SIGTERM, and where its terminal is closed, as at
    # Ctrl-C: what it began is cleared away. Under nohup SIGHUP is ignored, and stays so.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _interrupt)


class _StoppedError(KeyboardInterrupt):
    """An interrupt that Python does not take for its own.

    Where C code runs Python (an extension module that is imported) and a bare ``KeyboardInterrupt``
    comes out, Python notes that nobody caught it, and in the end kills itself by SIGINT, whoever
    did catch it further up.
    """


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _StoppedError


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
    except Exception as error:  # noqa: BLE001 - Python would leave with 1
        code = _failed(error, program)
    _close_output()
    return code


def _failed(error: Exception, program: str) -> int:
    # What is expected comes here only out of imports: a package that adds a fault and can't load.
    from testbed_domain.errors import DomainError  # noqa: PLC0415 - see the module

    if isinstance(error, DomainError):
        return _said(f"{program}: {error}", EXIT_COULD_NOT_RUN)
    import traceback  # noqa: PLC0415 - see the module

    traceback.print_exception(error)
    return EXIT_COULD_NOT_RUN


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
    import shutil  # noqa: PLC0415 - see the module

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
    import contextlib  # noqa: PLC0415 - see the module

    with contextlib.suppress(OSError, ValueError):  # nobody hears it
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    return code


def _close_output() -> None:
    """Have Python not try again, at its very end, to write what could not be written."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        import contextlib  # noqa: PLC0415 - see the module

        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
