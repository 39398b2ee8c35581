"""Runners that have imported their runtime and wait for jobs, on this machine or behind ``adb shell``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_tests.targets.target import Progress
from hetero.processes import children
from hetero.storage.scratch import scratch_folder

SILENCE_LIMIT = 600.0
"""Seconds without any progress after which a run counts as hung."""
TOTAL_LIMIT = 4 * 3600.0
"""Seconds after which a run is stopped, whatever its progress."""


@dataclass(frozen=True)
class Ending:
    """The end of a job.

    Attributes:
        status: Its exit status, negative for a signal; the session's own if that ended before the job did.
        given_up: The reason why it was killed; empty if it was not.
        session_said: The last line of the session's own errors, if the session itself ended; else None.
    """

    status: int
    given_up: str = ""
    session_said: str | None = None


class Session:
    """One runner process.

    Args:
        command: Command that starts it.
        environment: Its whole environment.
        silence_limit: Seconds without a line after which it is killed.
        total_limit: Seconds after which it is killed in any case.
        limits: Resource limits of each of its processes.
        home: Its owner's folder, in which it works; removed with it when this process is killed.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        silence_limit: float,
        *,
        total_limit: float = TOTAL_LIMIT,
        limits: children.Limits | None = None,
        home: Path | None = None,
    ) -> None:
        self._limit, self._total_limit = silence_limit, total_limit
        self._held = contextlib.ExitStack()
        own = scratch_folder("session") if home is None else tempfile.TemporaryDirectory(dir=home)
        self._folder = Path(self._held.enter_context(own))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the session
        self._process = children.tethered(
            command,
            folder=self._folder,
            variables=environment,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            reads=True,
            limits=limits,
            leaves=home or self._folder,
        )

    @property
    def alive(self) -> bool:
        """True if it accepts another job."""
        return self._process.poll() is None

    def run(self, job: str, progress: Progress) -> Ending:
        """Run the job of a file, whose path is given as the runner sees it."""
        reasons: list[str] = []

        def give_up(reason: str) -> None:
            reasons.append(reason)
            self.kill()

        def silent() -> None:
            give_up(f"no progress for {self._limit:.0f} s")

        assert self._process.stdin is not None and self._process.stdout is not None
        total = _started(self._total_limit, lambda: give_up(f"not done after {self._total_limit:.0f} s"))
        timer = _started(self._limit, silent)
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{job}\n".encode())
                self._process.stdin.flush()
            for line in self._process.stdout:
                timer.cancel()
                timer = _started(self._limit, silent)
                first, _, second = line.decode("ascii", "replace").strip().partition(" ")
                if first == "exit" and second.removeprefix("-").isdecimal():
                    return Ending(int(second))
                if first.isdecimal() and second.isdecimal():
                    progress(int(first), int(second))
        finally:
            timer.cancel()
            total.cancel()
        self._process.wait()
        self._errors.seek(0)
        return Ending(self._process.returncode, "".join(reasons[:1]), last_line(self._errors.read()))

    def close(self) -> None:
        """End it, and everything that it started."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()
        self._held.close()

    def kill(self) -> None:
        """End it and everything that it started, even during a job."""
        if not hasattr(os, "killpg"):
            self._process.kill()
            return
        # Jobs are children of the runner, in the same group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


class Sessions:
    """Sessions by runtime, each lent to one thread at a time; one that ended is not lent again.

    Args:
        start: Starts a session with a runtime.
    """

    def __init__(self, start: Callable[[str], Session]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._idle: dict[str, list[Session]] = {}
        self._lent: set[Session] = set()

    @contextlib.contextmanager
    def lend(self, runtime: str) -> Generator[Session]:
        """Lend an idle session, or a new one."""
        with self._lock:
            idle = self._idle.setdefault(runtime, [])
            session = idle.pop() if idle else None
        session = session or self._start(runtime)
        with self._lock:
            self._lent.add(session)
        try:
            yield session
        except BaseException:
            session.close()
            raise
        finally:
            with self._lock:
                self._lent.discard(session)
        if not session.alive:
            session.close()
            return
        with self._lock:
            idle.append(session)

    def close(self) -> None:
        """End idle sessions, and the runs of the others, which their borrowers close."""
        with self._lock:
            idle = [session for sessions in self._idle.values() for session in sessions]
            lent = list(self._lent)
            self._idle = {}
        for session in lent:
            session.kill()
        for session in idle:
            session.close()


def failure(ending: Ending, errors: bytes) -> str:
    """Describe why a job failed, for people.

    Args:
        ending: The job's end.
        errors: The content of its error file.
    """
    if ending.given_up:
        return f"{ending.given_up}; killed"
    message = last_line(errors) or ending.session_said or "it said nothing"
    status = ending.status
    # QEMU reports a guest's fatal signal as the shell does.
    number = -status if status < 0 else status - 128
    if number > 0 and number in {int(value) for value in signal.Signals}:
        return f"the runtime crashed with {signal.Signals(number).name}: {message}"
    return f"{message} (exit status {status})"


def last_line(said: bytes) -> str:
    """Return the last line that is not empty; empty if there is none."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:500] if lines else ""


def _started(seconds: float, action: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
    return timer
