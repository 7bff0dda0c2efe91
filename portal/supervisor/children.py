"""One child process: how it is started, where its words go, how it ends with all that it started itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

SHIM = Path(__file__).with_name("shim.py")
LOG_BYTES = 10 * 1024 * 1024
LOG_FILES = 5
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
LIVED_WELL_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """What to run. Children are started in the order of the plans and stopped in the reverse order of ``stage``."""

    name: str
    argv: tuple[str, ...]
    stage: int
    stop_seconds: float = 10.0
    environment: dict[str, str] = field(default_factory=dict)


class Child:
    """A plan and the process that carries it out just now. Times are ``time.monotonic`` seconds."""

    def __init__(self, plan: Plan, logs: Path, cwd: Path) -> None:
        self.plan = plan
        self.log = logs / f"{plan.name}.log"
        self.cwd = cwd
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.deaths = 0
        self.start_again_at: float | None = None

    def start(self, now: float) -> None:
        """Run it in a session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then decides."""
        environment = {**os.environ, **self.plan.environment, "PYTHONUNBUFFERED": "1"}
        argv = [sys.executable, "-I", "-S", str(SHIM), str(os.getpid()), *self.plan.argv]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.cwd,
                env=environment,
                start_new_session=True,
            )
        self.started_at = now
        self.start_again_at = None

    def status(self) -> int | None:
        """Exit status once it has ended (negative: the signal), else None. What it left running is killed first."""
        if self.process is None:
            return None
        if self.process.returncode is None:
            # WNOWAIT keeps the process id taken, so the session of that number is surely ours while we sweep it
            ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            self.sweep()
            self.process.wait()
        return self.process.returncode

    def died(self, now: float) -> float:
        """Note an unwanted end and plan the next start; returns the seconds until then."""
        self.deaths = 1 if now - self.started_at > LIVED_WELL_SECONDS else self.deaths + 1
        delay = BACKOFF_SECONDS[min(self.deaths, len(BACKOFF_SECONDS)) - 1]
        self.start_again_at = now + delay
        self.process = None
        return delay

    def send(self, number: signal.Signals) -> None:
        """Signal the process itself; it tells its own children."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    def sweep(self, *, leader: bool = False) -> None:
        """Kill everything in its session: with the leader (after a time-out) or only what a dead leader left."""
        if self.process is None:
            return
        for pid in session_members(self.process.pid):
            if leader or pid != self.process.pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def rotate_log(self) -> None:
        """Copy and empty a log that grew large; the child appends, so it goes on at the new beginning."""
        try:
            if self.log.stat().st_size < LOG_BYTES:
                return
        except FileNotFoundError:
            return
        for number in range(LOG_FILES - 1, 0, -1):
            older = self.log.with_suffix(f".log.{number}")
            if older.exists():
                older.replace(self.log.with_suffix(f".log.{number + 1}"))
        shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
        os.truncate(self.log, 0)


def session_members(session: int) -> list[int]:
    """Ids of the living processes of a session (Linux; elsewhere only the leader is known)."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # after the command in parentheses: state, parent, process group, session
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(entry.name))
    return members
