"""The end of a command that raised: its exit status and its message, decided in one place."""

from __future__ import annotations

import os
import platform
import select
import sys
import traceback

import hetero
from hetero.data.names import is_text
from hetero.errors import InputError
from hetero.gallery.away import is_of_a_server
from hetero.processes.board import EndedElsewhere
from hetero.processes.children import Terminated
from hetero.processes.launch import processes

BAD_INPUT, FAULT, INTERRUPTED, UNHEARD = 2, 70, 130, 141
"""Exit statuses: the user or the machine can fix it; a fault of this project (``EX_SOFTWARE`` of sysexits.h); Ctrl-C
(128 + SIGINT); the reader of the output has gone (128 + SIGPIPE)."""

_TOLD_TO_END = "told to end, as torchrun does when one of its processes has ended; the same command continues"
_LOST = (
    "another process of this run does not answer: it was killed, most likely for lack of memory, or its machine cannot "
    "be reached; the same command continues"
)
_LONGEST = 300
"""Most characters of foreign text in a message."""


def ending(error: BaseException) -> tuple[int, str]:
    """Return the exit status of a command that raised, and its message; no text when nobody would read it."""
    if isinstance(error, InputError):
        return error.exit_code, str(error)
    if isinstance(error, EndedElsewhere):
        return int(error.code or 0), ""
    if isinstance(error, Terminated):
        return int(error.code or 0), "" if processes() == 1 else _TOLD_TO_END
    if processes() > 1 and _is_of_a_lost_process(error):
        return BAD_INPUT, _LOST
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted; the same command continues where it stopped"
    if (isinstance(error, BrokenPipeError) and _unheard()) or _is_of_rich(error):
        return UNHEARD, ""
    if isinstance(error, MemoryError):
        return BAD_INPUT, f"not enough memory: {error}" if str(error) else "not enough memory"
    if isinstance(error, OSError) or _is_of_safetensors(error) or is_of_a_server(error):
        return BAD_INPUT, _of_the_system(error)
    if isinstance(error, UnicodeEncodeError) and not is_text(error.object):
        part = error.object[max(error.start - _LONGEST // 2, 0) : error.start + _LONGEST // 2]
        return BAD_INPUT, (
            f"a path or name is not UTF-8: {part!a}; rename it, give another place, or set a locale of UTF-8 "
            "(LC_ALL=C.UTF-8)"
        )
    return FAULT, _fault(error)


def leave(status: int) -> None:
    """Flush the output, or discard it where it cannot be written so that nothing fails later, and exit.

    Raises:
        SystemExit: With ``status``, or with another where the output could not be written and no error was reported.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None when the parent process closed it
        try:
            stream.flush()
        except OSError as error:
            failure, message = ending(error)
            # The interpreter flushes the rest when it ends, and would fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if message:
                print(f"hetero: the output cannot be written: {message}", file=sys.stderr)
            status = status if status in (BAD_INPUT, FAULT, INTERRUPTED) else failure
    sys.exit(status)


def _unheard() -> bool:
    """Return True if nobody reads the standard output or error any more."""
    streams = select.poll()
    for number in (1, 2):
        streams.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in streams.poll(0))


def _is_of_rich(error: BaseException) -> bool:
    """Return True if the library that prints help had no reader: it redirects the output and exits with 1."""
    return isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)


def _is_of_safetensors(error: BaseException) -> bool:
    """Return True if safetensors could not read or write a file: it has its own exception, even for a full disk."""
    return type(error).__name__ == "SafetensorError"


def _is_of_a_lost_process(error: BaseException) -> bool:
    """Return True if an exchange with another process failed: of gloo, which has no exception of its own, or others."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return "DistError" in names or (isinstance(error, RuntimeError) and "gloo/transport" in str(error))


def _of_the_system(error: BaseException) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([*([" -> ".join(names)] if names else []), error.strerror])


def _fault(error: BaseException) -> str:
    return (
        f"{''.join(traceback.format_exception(error))}\n"
        "This is a fault of hetero, not of your input. There is no verdict. Please report it to whoever maintains your "
        "copy of hetero, with the command, all of the above and this line:\n"
        f"hetero {hetero.__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
