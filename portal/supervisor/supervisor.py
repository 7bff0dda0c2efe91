"""Keeps a list of children running and ends them in order. Runs in the main thread of a process without others."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from portal.supervisor.children import Child, Plan

LOOK_SECONDS = 0.5
"""How often logs are measured and dead children are looked for when no signal says so."""


class Stopped(Exception):
    """Somebody asked us to stop (Ctrl-C, SIGTERM) while the start was still under way."""


class Supervisor:
    """Starts children, restarts those that die (with growing pauses), stops them all in order.

    Use as a context manager: leaving it stops every child, whatever happened inside.
    """

    def __init__(self, logs: Path, cwd: Path, say: Callable[[str], None]) -> None:
        self.logs = logs
        self.cwd = cwd
        self.say = say
        self.children: list[Child] = []
        self.requests = 0
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __enter__(self) -> Supervisor:
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._old_wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._old_handlers = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGINT, self._on_stop),
                (signal.SIGTERM, self._on_stop),
                (signal.SIGHUP, self._on_stop),
                (signal.SIGCHLD, lambda _number, _frame: None),  # only to wake the loop
            )
        }
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.requests += 1

    @property
    def stopping(self) -> bool:
        """Whether somebody asked us to end."""
        return self.requests > 0

    def start(self, plans: Sequence[Plan]) -> None:
        """Start these children; they are watched from now on."""
        for plan in plans:
            child = Child(plan, self.logs, self.cwd)
            self.children.append(child)
            child.start(time.monotonic())

    def wait(self, seconds: float) -> None:
        """Sleep until a signal or the time is over, then look after the children once."""
        self._sleep(seconds)
        if not self.stopping:
            self._look()

    def _sleep(self, seconds: float) -> None:
        """Until the time is over or a signal came; signals write into the pipe."""
        if select.select([self._wake_read], [], [], seconds)[0]:
            os.read(self._wake_read, 4096)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Look after the children until ``ready`` or the time is over.

        Raises:
            Stopped: somebody asked us to end meanwhile.
        """
        end = time.monotonic() + seconds
        while True:
            if self.stopping:
                raise Stopped
            if ready():
                return True
            if time.monotonic() > end:
                return False
            self.wait(0.1)

    def run(self) -> None:
        """Look after the children until somebody asks us to end."""
        while not self.stopping:
            self.wait(LOOK_SECONDS)

    def _look(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.start_again_at is not None:
                if now >= child.start_again_at:
                    child.start(now)
                continue
            status = child.status()
            if status is not None:
                delay = child.died(now)
                self.say(f"{child.plan.name} ended ({describe(status)}); again in {delay:g} s, see {child.log}")
            child.rotate_log()

    def stop(self) -> None:
        """End the children, the last stage first, each stage at once; a second request ends them without waiting."""
        for stage in sorted({child.plan.stage for child in self.children}, reverse=True):
            group = [child for child in self.children if child.plan.stage == stage]
            for child in group:
                child.start_again_at = None
                child.send(signal.SIGTERM)
            end = time.monotonic() + max(child.plan.stop_seconds for child in group)
            while any(child.process is not None and child.status() is None for child in group):
                if time.monotonic() > end or self.requests > 1:
                    for child in group:
                        child.sweep(leader=True)
                    end = time.monotonic() + 1
                self._sleep(0.05)
        self.children = []


def describe(status: int) -> str:
    """``exit 1`` or ``SIGKILL``."""
    return f"exit {status}" if status >= 0 else signal.Signals(-status).name
