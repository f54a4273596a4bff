"""Several workers on one port: forked before anything heavy is loaded, started again when they die, stopped together.

Each worker holds the reading end of a pipe whose writing end only this process has. When it closes, on purpose or
because this process was killed, the workers finish what is in flight and go: none is ever left behind.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ..api import DamagedModel

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0  # seconds before a worker that died early is started again
SOUND_SECONDS = 10.0  # a worker that lived so long did not die early
KILL_SECONDS = 5.0  # beyond the time to drain
Work = Callable[[int, int, Callable[[], None]], None]  # of a worker's number, lifeline, and what to call when ready


@dataclass
class Child:
    """One worker: its process, the pipe on which it says that it is ready, and when it is to be started (again)."""

    number: int
    pid: int = 0
    ready: int = -1
    is_ready: bool = False
    since: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0


class Supervisor:
    """Runs `work` in `n_workers` processes; `on_ready` is called once, when all of them serve."""

    def __init__(
        self, name: str, n_workers: int, work: Work, on_ready: Callable[[], None], stop_seconds: float
    ) -> None:
        self.name, self.work, self.on_ready, self.stop_seconds = name, work, on_ready, stop_seconds
        self.children = [Child(number) for number in range(n_workers)]
        self.lifeline, self.held = os.pipe()
        self.woken, self.waking = os.pipe()
        for end in (self.woken, self.waking):
            os.set_blocking(end, False)
        self.is_stopping = self.was_ready = False

    def run(self) -> int:
        """Return the exit status: 0 after a stop, 1 where a worker could not even start."""
        old = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waking, warn_on_full_buffer=False)
        try:
            while not self.is_stopping:
                self._start_due()
                self._wait()
                if not self._reap() and not self.was_ready:
                    return 1
            return 0
        finally:
            self._end()
            signal.set_wakeup_fd(-1)
            for number, handler in old.items():
                signal.signal(number, handler)

    def _stop(self, *_: object) -> None:
        self.is_stopping = True

    def _start_due(self) -> None:
        for child in self.children:
            if not child.pid and child.due <= time.monotonic():
                self._start(child)

    def _start(self, child: Child) -> None:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._become(child, writing)
        os.close(writing)
        child.pid, child.ready, child.is_ready, child.since = pid, reading, False, time.monotonic()

    def _become(self, child: Child, ready: int) -> None:
        """Be the worker, and never return into the parent's code."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for end in (self.held, self.woken, self.waking, *(c.ready for c in self.children if c.ready >= 0)):
                os.close(end)
            self.work(child.number, self.lifeline, lambda: _say(ready))
            status = 0
        except DamagedModel as error:
            print(f"{self.name}: {error}", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _wait(self) -> None:
        """Wait for a signal, a worker that is ready, or the time to start one again."""
        starting = {child.ready: child for child in self.children if child.pid and not child.is_ready}
        dues = [child.due - time.monotonic() for child in self.children if not child.pid]
        readable, _, _ = select.select([self.woken, *starting], [], [], max(0.0, min(dues)) if dues else None)
        for end in readable:
            if end == self.woken:
                with suppress(BlockingIOError):
                    os.read(self.woken, 4096)
            elif os.read(end, 1):
                starting[end].is_ready = True
            else:  # it ended before: SIGCHLD is on its way
                time.sleep(0.01)
        if not self.was_ready and all(child.is_ready for child in self.children):
            self.was_ready = True
            self.on_ready()

    def _reap(self) -> bool:
        """Return whether no worker has ended; have those that did started again, the later the earlier they died."""
        all_live = True
        for child in self.children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            all_live = False
            os.close(child.ready)
            lived = time.monotonic() - child.since
            sound = child.is_ready and lived > SOUND_SECONDS
            child.pause = FIRST_PAUSE if sound else min(child.pause * 2, LONGEST_PAUSE)
            child.pid, child.ready, child.due = 0, -1, time.monotonic() + (0.0 if child.is_ready else child.pause)
            if self.was_ready and not self.is_stopping:
                print(
                    f"{self.name}: worker {child.number + 1} ended by {_told(status)}; starting another",
                    file=sys.stderr,
                )
        return all_live

    def _end(self) -> None:
        """Let all workers finish, and kill those that do not."""
        os.close(self.held)
        deadline = time.monotonic() + self.stop_seconds + KILL_SECONDS
        while any(child.pid for child in self.children) and time.monotonic() < deadline:
            self.is_stopping = True
            self._reap()
            time.sleep(0.02)
        for child in self.children:
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)


def _say(ready: int) -> None:
    os.write(ready, b"r")
    os.close(ready)


def _told(status: int) -> str:
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
