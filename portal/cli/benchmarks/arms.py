"""The arms of the comparison. Each is started once, then asked for one round after another."""

from __future__ import annotations

import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import EngineStatus
from portal.asr.errors import EngineUnavailable
from portal.cli.benchmarks.models import Models
from portal.cli.benchmarks.processes import (
    Child,
    Unavailable,
    cpu_seconds,
    environment,
    last_lines,
    peak_rss_mib,
    stop,
    wait_for,
)
from portal.cli.benchmarks.sets import Recording

_BENCHMARK = "portal.asr.engine.inference.benchmark"
LIKE_FUNASR: dict[str, Any] = {"max_segment_ms": 60_000, "end_silence_ms": None}
"""Options with which the engine cuts speech as ``AutoModel.generate`` does."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all arms have in common. ``clients``: recordings under way at a time where an arm takes several."""

    models: Models
    device: str
    threads: int
    work: Path
    clients: int
    websocket_server: Path | None = None
    exact_profile: str = "exact"

    def log(self, name: str) -> Path:
        """Where a child's messages go."""
        return self.work / f"{name}.log"


@dataclass(slots=True)
class Round:
    """One pass over the recordings: seconds of wall and CPU (of all processes taking part), seconds of sound.

    ``parts``: CPU seconds by process. ``latencies``: seconds per recording. ``results``: what was written, per file.
    """

    wall: float
    cpu: float
    audio: float
    parts: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    gpu_peak_mib: int | None = None
    padding_efficiency: float | None = None

    @property
    def characters(self) -> int:
        """Length of all texts: an arm that writes nothing is not fast."""
        return sum(len(str(result["text"])) for result in self.results)


class Arm(ABC):
    """One way of turning the recordings into text."""

    name: str
    rss_mib = 0

    @abstractmethod
    def start(self, stack: ExitStack) -> None:
        """Start processes, ended by ``stack``. Raises Unavailable with the reason where it can't run here."""

    @abstractmethod
    def run(self, recordings: Sequence[Recording]) -> Round:
        """Do the work once."""


class AutoModelArm(Arm):
    """``AutoModel.generate``, one file after the other, as everybody calls it."""

    def __init__(self, setup: Setup, name: str = "automodel", batch_size_s: int = 300) -> None:
        self.name = name
        self._setup = setup
        self._batch_size_s = batch_size_s
        self.child: Child | None = None

    def start(self, stack: ExitStack) -> None:
        """Load the three models the way FunASR does."""
        models = self._setup.models
        argv = [
            *(sys.executable, "-m", f"{_BENCHMARK}.stock"),
            *("--asr", str(models.asr), "--vad", str(models.vad), "--punc", str(models.punc)),
            *("--device", self._setup.device, "--threads", str(self._setup.threads)),
        ]
        self.child = stack.enter_context(Child(argv, environment(self._setup.threads), self._setup.log(self.name)))

    def run(self, recordings: Sequence[Recording]) -> Round:
        """All files."""
        return self.with_batches(recordings, self._batch_size_s)

    def with_batches(self, recordings: Sequence[Recording], batch_size_s: int) -> Round:
        """All files with so many seconds of sound to a batch (a CPU always takes segments singly)."""
        assert self.child is not None
        answer = self.child.ask("files", paths=[str(r.path) for r in recordings], batch_size_s=batch_size_s)
        self.rss_mib = peak_rss_mib(self.child.pid)
        return Round(
            answer["wall"],
            answer["cpu"],
            sum(r.seconds for r in recordings),
            latencies=[result["seconds"] for result in answer["results"]],
            results=answer["results"],
            gpu_peak_mib=answer["gpu_peak_mib"],
        )


class EngineArm(Arm):
    """Our engine in a process of its own, over its socket, with clients that decode as workers do."""

    def __init__(self, setup: Setup, name: str, profile: str, *, processes: int = 1, repeat: int = 1) -> None:
        self.name = name
        self._setup = setup
        self._profile = profile
        self._processes, self._repeat = processes, repeat
        self._engine: subprocess.Popen[bytes] | None = None
        self._clients: list[Child] = []
        self.socket = setup.work / f"{name}.sock"

    def start(self, stack: ExitStack) -> None:
        """Load the models, then the clients. A profile that the engine refuses is told, never replaced silently."""
        setup, models = self._setup, self._setup.models
        argv = [
            *(sys.executable, "-m", "portal.asr.engine.server", "--socket", str(self.socket)),
            *("--asr", str(models.asr), "--vad", str(models.vad), "--punc", str(models.punc)),
            *("--installed", str(models.installed), "--device", setup.device, "--threads", str(setup.threads)),
            *("--profile", self._profile, *(("--unchecked-profile",) if models.random else ())),
        ]
        log = setup.log(self.name)
        with log.open("ab") as stream:
            self._engine = subprocess.Popen(
                argv, env=environment(setup.threads), stdin=subprocess.DEVNULL, stderr=stream
            )
        stack.callback(stop, self._engine)
        try:
            wait_for(self._is_ready, self._engine, log, 1_200.0)
        except click.ClickException as error:
            raise Unavailable(f"the engine does not start with profile {self._profile}: {error.message}") from None
        status = self.status()
        wanted = {"fast": {"fast"}}.get(self._profile, {"exact", "cpu-exact"})
        if status.profile not in wanted:
            raise Unavailable(f"the engine runs {status.profile} instead: {status.profile_note}")
        threads = max(1, setup.clients // self._processes)
        client = [sys.executable, "-m", "portal.cli.benchmarks.client", "--socket", str(self.socket)]
        for _ in range(self._processes):
            child = Child([*client, "--threads", str(threads)], environment(1), setup.log(f"{self.name}-client"))
            self._clients.append(stack.enter_context(child))

    @property
    def pid(self) -> int | None:
        """Of the engine; None before it was started."""
        return None if self._engine is None else self._engine.pid

    def _is_ready(self) -> bool:
        with suppress(EngineUnavailable):
            return self.status().ready
        return False

    def status(self) -> EngineStatus:
        """Of the engine."""
        return EngineClient(self.socket, timeout_s=30.0).status()

    def run(self, recordings: Sequence[Recording]) -> Round:
        """All files, ``repeat`` times over, cut as FunASR cuts them."""
        return self.with_options(recordings, LIKE_FUNASR, self._repeat)

    def with_options(self, recordings: Sequence[Recording], options: dict[str, Any], repeat: int = 1) -> Round:
        """All files with the given ``RecordingOptions``, spread over the clients.

        Raises ClickException when the engine ends under it: a figure without our own arm is worth nothing.
        """
        try:
            return self._round(recordings, options, repeat)
        except (EngineUnavailable, click.ClickException) as error:
            assert self._engine is not None
            status, log = self._engine.poll(), self._setup.log(self.name)
            if status is None:
                raise
            text = f"the engine ended with status {status}: {last_lines(log)}"
            raise click.ClickException(text) from error

    def _round(self, recordings: Sequence[Recording], options: dict[str, Any], repeat: int) -> Round:
        assert self._engine is not None
        shares = [list(range(len(recordings)))[number :: self._processes] for number in range(self._processes)]
        pid, before = self._engine.pid, self.status()
        wall, cpu = time.perf_counter(), cpu_seconds(self._engine.pid)
        for client, share in zip(self._clients, shares, strict=True):
            client.send("files", paths=[str(recordings[i].path) for i in share], options=options, repeat=repeat)
        answers = [client.take() for client in self._clients]
        wall, engine_cpu = time.perf_counter() - wall, cpu_seconds(pid) - cpu
        after = self.status()
        self.rss_mib = peak_rss_mib(pid)
        parts = {
            "engine": engine_cpu,
            "clients": sum(answer["cpu"] for answer in answers),
            "decoders": sum(answer["decode_cpu"] for answer in answers),
        }
        placed = {
            i: r for share, a in zip(shares, answers, strict=True) for i, r in zip(share, a["results"], strict=True)
        }
        return Round(
            wall,
            sum(parts.values()),
            sum(r.seconds for r in recordings) * repeat,
            parts={**parts, "models_busy": after.busy_seconds - before.busy_seconds},
            latencies=[latency for answer in answers for latency in answer["latencies"]],
            results=[placed[index] for index in range(len(recordings))],
            gpu_peak_mib=_mib(after.memory.reserved_bytes),
            padding_efficiency=_efficiency(before, after),
        )


def _mib(value: int | None) -> int | None:
    return None if value is None else value >> 20


def _efficiency(before: EngineStatus, after: EngineStatus) -> float | None:
    """Share of the computed encoder frames that were speech; None where nothing was counted."""
    computed = after.computed_frames - before.computed_frames
    return (after.useful_frames - before.useful_frames) / computed if computed else None


class CeilingArm(Arm):
    """Encoder and decoder alone on batches without padding, for the speech that the recordings hold."""

    name = "ceiling"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._child: Child | None = None
        self.lengths: list[float] = []
        """Seconds of the segments that were found; set before ``run``."""

    def start(self, stack: ExitStack) -> None:
        """Load the recognition model."""
        argv = [
            *(sys.executable, "-m", f"{_BENCHMARK}.ceiling", "--asr", str(self._setup.models.asr)),
            *("--device", self._setup.device, "--threads", str(self._setup.threads)),
        ]
        self._child = stack.enter_context(Child(argv, environment(self._setup.threads), self._setup.log(self.name)))

    def run(self, recordings: Sequence[Recording]) -> Round:
        """Cost per frame, times the frames of all speech found in ``recordings``."""
        assert self._child is not None
        speech = sum(self.lengths)
        # the length in whose batches an average frame of speech finds itself
        typical = sum(length**2 for length in self.lengths) / speech
        budget, seconds = (20_000, 3.0) if self._setup.device == "cuda" else (600, 3.0)
        answer = self._child.ask("measure", frames=round(typical / 0.06), budget=budget, seconds=seconds)
        self.rss_mib = peak_rss_mib(self._child.pid)
        frames = speech / 0.06
        wall, cpu = answer["wall_per_frame"] * frames, answer["cpu_per_frame"] * frames
        return Round(wall, cpu, sum(r.seconds for r in recordings))
