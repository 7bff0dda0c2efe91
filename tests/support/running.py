"""The whole portal as ``portal up`` starts it: real Redis, engine, workers, housekeeping and gunicorn."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.journey import Journey
from tests.support.slapd import free_port

ROOT = Path(__file__).parents[2]
READY_SECONDS = 240


@dataclass
class Running:
    """A started portal. ``said`` is what its terminal showed so far."""

    process: subprocess.Popen[str]
    instance: Path
    address: str
    said: list[str] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def setup_path(self) -> str:
        """Path of the set-up page with its token, from the terminal."""
        match = re.search(r"https?://\S+?(/setup\?\S+)", "\n".join(self.said))
        assert match is not None, self.said
        return match.group(1)

    def children(self) -> set[int]:
        """Process ids of all descendants."""
        return descendants(self.process.pid)

    def pid_of(self, words: str) -> int:
        """The one descendant whose command line holds ``words``."""
        found = [pid for pid in self.children() if words in command_line(pid)]
        assert len(found) >= 1, f"no process with {words!r}"
        return min(found)

    def journey(self, login: str) -> Journey:
        """A signed-in person of the first accounts."""
        person = Journey(self.address, self.instance / "tls" / "ca.crt" if "https" in self.address else None)
        person.sign_in(login, self.passwords[login])
        return person

    def make_first_accounts(self) -> None:
        """Fill in the set-up page: chief (administrator), watcher (auditor), lin (everyday)."""
        self.passwords = {login: secrets.token_urlsafe(18) for login in ("chief", "watcher", "lin")}
        browser = Journey(self.address, self.instance / "tls" / "ca.crt" if "https" in self.address else None)
        page = browser.get(self.setup_path)
        assert page.status == 200, page.text
        fields = {"token": self.setup_path.split("token=")[1]}
        for office, login in (("admin", "chief"), ("auditor", "watcher"), ("staff", "lin")):
            fields[f"{office}_login"] = login
            fields[f"{office}_name"] = login.title()
            fields[f"{office}_password"] = self.passwords[login]
            fields[f"{office}_again"] = self.passwords[login]
        answer = browser.post("/setup", **fields)
        assert answer.status == 200, answer.text

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 60) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=seconds)


def descendants(pid: int) -> set[int]:
    """All living children, grandchildren and so on of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    grown = True
    while grown:
        more = {child for child, parent in parents.items() if parent == pid or parent in found} - found
        found |= more
        grown = bool(more)
    return found


def command_line(pid: int) -> str:
    """The words of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def environment(instance: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a portal of its own: nothing of ours but what is named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    named = {f"PORTAL_{name.upper()}": value for name, value in settings.items()}
    return {**kept, "PORTAL_INSTANCE": str(instance), "PYTHONUNBUFFERED": "1", **named}


@contextmanager
def running_portal(
    instance: Path,
    *,
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    seconds: float = READY_SECONDS,
) -> Iterator[Running]:
    """Start the portal, wait until it prints its address alone on a line, stop it afterwards.

    Args:
        arguments: further words for ``portal up``.
        settings: setting name → value, handed over in the environment.
        prefix: words before the command, such as ``unshare -n``.
    """
    port = free_port()
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "portal.cli", "up", "--port", str(port), *arguments],
        cwd=ROOT,
        env=environment(instance, settings or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = Running(process, instance, "")
    ready = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            running.said.append(line.rstrip("\n"))
            if re.fullmatch(r"https?://[^\s/]+", line.strip()):
                running.address = line.strip()
                ready.set()
        ready.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    family: set[int] = set()
    try:
        assert ready.wait(seconds), "\n".join(running.said)
        assert running.address, "\n".join([*running.said, logs_of(instance)])
        yield running
    finally:
        family = descendants(process.pid) | {process.pid}
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        end = time.monotonic() + 10
        while any(alive(pid) for pid in family) and time.monotonic() < end:
            time.sleep(0.1)
        for pid in family:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        listener.join(timeout=5)
        if process.stdout is not None:
            process.stdout.close()


def logs_of(instance: Path, lines: int = 15) -> str:
    """The ends of all logs, for a failing test's message."""
    parts = []
    for path in sorted((instance / "logs").glob("*.log")):
        tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        parts.append(f"--- {path.name}\n" + "\n".join(tail))
    return "\n".join(parts)
