"""The one supervisor of child processes: whoever starts a program starts it here.

What a child can do costs its answer and no more. Its output is kept up to a limit and counted beyond it. The answer is taken when
the child itself ends, even where something that it started holds its output open. At the time limit, and whenever we are
interrupted, its whole process group ends with it. A child that cannot be killed (state D: it hangs in the driver) is left behind.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envdoctor.signals import deferred
from envdoctor.streams import CHUNK, Kept, Marked, Sink

KILL_GRACE = 1.0
"""Seconds for a killed child to be gone."""
QUIET = 0.1
"""Seconds without a byte after which the output of a child that has ended counts as read to its end."""
LAST_WORDS = 2.0
"""Seconds at most for the rest of the output of a child that has ended: what it started may go on writing for ever."""


@dataclass(frozen=True)
class Completed:
    """What a command did. `code` is None when it could not be started, ran out of time, or was left behind."""

    code: int | None
    stdout: str
    stderr: str
    timed_out: bool = False
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it, such as SIGSEGV."""
        return None if self.code is None or self.code >= 0 else signal_name(-self.code)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Process:
    """A child in a process group of its own, so that Ctrl-C at the terminal reaches us alone and its own children end with it.

    stdout, stderr: where its bytes go; without `stderr` both go to `stdout`, in their order. Raises OSError or ValueError where
    it cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        stdout: Sink,
        stderr: Sink | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes | None = None,
    ) -> None:
        self._ended = threading.Event()
        self._heard = time.monotonic()
        self._readers: list[tuple[threading.Thread, int]] = []
        started: list[subprocess.Popen[bytes]] = []
        try:
            # Between the start of the process and its being known here, an interrupt would leave it behind.
            with deferred():
                started.append(
                    subprocess.Popen(
                        [str(argument) for argument in arguments],
                        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT if stderr is None else subprocess.PIPE,
                        env=None if environment is None else dict(environment),
                        cwd=cwd,
                        start_new_session=True,
                    )
                )
                self._child = started[0]
                self._begin(stdout, stderr, stdin)
        except BaseException:
            if started:
                self.kill()
            raise

    def _begin(self, stdout: Sink, stderr: Sink | None, stdin: bytes | None) -> None:
        _living.add(self)
        child = self._child
        for pipe, sink in ((child.stdout, stdout), (child.stderr, stderr)):
            if pipe is not None and sink is not None:
                reader = threading.Thread(target=self._read, args=(pipe, sink), daemon=True)
                self._readers.append((reader, pipe.fileno()))
                reader.start()
        if stdin is not None:
            threading.Thread(target=self._write, args=(stdin,), daemon=True).start()
        threading.Thread(target=self._await, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def code(self) -> int | None:
        """Its exit code, less than 0 for a signal; None while it runs."""
        return self._child.returncode

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, timeout: float) -> bool:
        """Whether it ends within so many seconds."""
        return self._ended.wait(max(0.0, timeout))

    def drain(self) -> None:
        """Waits until everything that it wrote has been read; not for what others go on writing to its output."""
        until = time.monotonic() + LAST_WORDS
        for reader, descriptor in self._readers:
            while reader.is_alive() and time.monotonic() < until:
                reader.join(QUIET / 4)
                if time.monotonic() - self._heard > QUIET and not _readable(descriptor):
                    break

    def send(self, number: int) -> None:
        """Sends a signal to its whole group; one that was stopped (Ctrl-Z, a debugger) goes on, so that it can obey."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, number)
                os.killpg(self.pid, signal.SIGCONT)
            else:
                self._child.terminate()

    def kill(self) -> bool:
        """Ends the whole group at once, what is left of it after the child too; whether the child is gone."""
        self.send(getattr(signal, "SIGKILL", signal.SIGTERM))
        return self.wait(KILL_GRACE)

    def end(self, grace: float, by: int = signal.SIGTERM) -> bool:
        """Asks it to end, and kills its group if it does not within `grace` seconds; whether it is gone."""
        try:
            if not self.ended:
                self.send(by)
                self.wait(grace)
        finally:  # a second Ctrl-C must not leave it running
            gone = self.kill()
        return gone

    def _await(self) -> None:
        self._child.wait()
        self._ended.set()
        _living.discard(self)

    def _read(self, pipe: object, sink: Sink) -> None:
        descriptor = pipe.fileno()  # type: ignore[attr-defined]
        while self._read_chunk(descriptor, sink):
            pass
        pipe.close()  # type: ignore[attr-defined]
        sink.close()

    def _read_chunk(self, descriptor: int, sink: Sink) -> bool:
        try:
            chunk = os.read(descriptor, CHUNK)
            self._heard = time.monotonic()
            sink.feed(chunk)
        except MemoryError:  # ours is limited; what cannot be kept is dropped, and the child must not be held up
            return True
        except OSError:
            return False
        return bool(chunk)

    def _write(self, data: bytes) -> None:
        assert self._child.stdin is not None
        # It may end without having read it all.
        with contextlib.suppress(OSError), self._child.stdin as pipe:
            pipe.write(data)


_living: set[Process] = set()


def end_all() -> None:
    """Kills every child that still runs: before we end ourselves, for those that other threads started."""
    for process in tuple(_living):
        process.send(getattr(signal, "SIGKILL", signal.SIGTERM))


def _readable(descriptor: int) -> bool:
    try:
        return bool(select.select([descriptor], [], [], 0)[0])
    except (OSError, ValueError):  # Windows selects sockets only; a descriptor past 1023; closed meanwhile
        return False


def run(
    arguments: Sequence[str | Path],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
    answers: str | None = None,
) -> Completed:
    """Runs a command for at most `timeout` seconds; whatever goes wrong is in the answer, never raised.

    answers: the mark that the lines begin with which are wanted of its stdout; without it the output is kept as it is.
    """
    stdout, stderr = Kept() if answers is None else Marked(answers), Kept(head=1 << 20, tail=1 << 20)
    given = None if stdin is None else stdin.encode()
    try:
        process = Process(arguments, stdout=stdout, stderr=stderr, environment=environment, cwd=cwd, stdin=given)
    except (OSError, ValueError, RuntimeError) as error:  # no thread can be started where memory is limited
        return Completed(None, "", "", error=str(error))
    try:
        in_time = process.wait(timeout)
        if not in_time:
            process.kill()
        process.drain()
    except BaseException:  # Ctrl-C: the child must not outlive us
        process.kill()
        raise
    if not in_time:
        late = f"no answer within {timeout:g} s"
        return Completed(None, stdout.text(), stderr.text(), timed_out=True, error=late)
    return Completed(process.code, stdout.text(), stderr.text())
