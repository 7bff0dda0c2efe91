"""Child processes of a benchmark: starting, asking, what they cost, ending."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

ROOT = Path(__file__).resolve().parents[3]
_CPUCLOCK_SCHED = 2


class Unavailable(Exception):
    """An arm can't run here; the text says why and what would help."""


def cpu_seconds(pid: int) -> float:
    """CPU time of a running process, all its threads, in seconds (nanosecond clock of the kernel)."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def peak_rss_mib(pid: int) -> int:
    """Largest resident memory of a running process so far, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


def environment(threads: int, **more: str) -> dict[str, str]:
    """For every arm the same: equal numbers of threads, which sleep while they wait, and no hub within reach."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    path = os.pathsep.join([str(ROOT), *filter(None, [own.get("PYTHONPATH")])])
    return {
        **own,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "MODELSCOPE_OFFLINE": "1",
        **more,
    }


def end_tidily() -> None:
    """Let SIGTERM end this process like Ctrl-C, so that its children end with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def stop(process: subprocess.Popen[Any], patience_s: float = 10.0) -> None:
    """End a child, whatever it is doing."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


class Child:
    """A child that answers one JSON line per JSON line, see ``inference.benchmark.lines``."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        """Start it and wait until it says that it is ready. Raises ClickException with its reason."""
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                list(argv), env=dict(env), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream
            )
        self._log = log
        self._rest = b""
        try:
            self._take(1_200.0)
        except BaseException:
            stop(self._process)
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, do: str, timeout_s: float = 3_600.0, **values: Any) -> dict[str, Any]:
        """Send a request and wait for its answer. Raises ClickException when it fails or takes too long."""
        self.send(do, **values)
        return self._take(timeout_s)

    def send(self, do: str, **values: Any) -> None:
        """Send a request without waiting; ``take`` its answer."""
        assert self._process.stdin is not None
        line = json.dumps({"do": do, **values}, ensure_ascii=False) + "\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()

    def take(self, timeout_s: float = 3_600.0) -> dict[str, Any]:
        """The answer to the oldest request."""
        return self._take(timeout_s)

    def _take(self, timeout_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        end = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            ready, _, _ = select.select([descriptor], [], [], max(end - time.monotonic(), 0.0))
            if not ready:
                raise click.ClickException(f"a child of the benchmark was silent for {timeout_s:g} s")
            if not (data := os.read(descriptor, 1 << 20)):
                raise click.ClickException(f"a child of the benchmark ended: {last_lines(self._log)}")
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise click.ClickException(str(answer["error"]))
        return answer

    def close(self) -> None:
        """End it."""
        stop(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def last_lines(log: Path, count: int = 3) -> str:
    """The end of a log, for a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " / ".join(lines[-count:])[-600:] or "no message"


def wait_for(reached: Callable[[], bool], process: subprocess.Popen[Any], log: Path, seconds: float) -> None:
    """Until ``reached``. Raises ClickException when the process ends first or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise click.ClickException(f"it ended with status {process.returncode}: {last_lines(log)}")
        if reached():
            return
        time.sleep(0.1)
    raise click.ClickException(f"not ready after {seconds:g} s: {last_lines(log)}")
