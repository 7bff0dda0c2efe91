"""Starting engines and making audio for these tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import RecordingOptions
from portal.asr.errors import EngineUnavailable
from portal.asr.types import Segment

REPOSITORY = Path(__file__).parents[2]
MODELS = Path(os.environ.get("PORTAL_TEST_MODELS", REPOSITORY / "portal" / "asr" / "models"))


@dataclass
class Running:
    """An engine process and a client for it."""

    process: subprocess.Popen[bytes]
    client: EngineClient
    socket: Path
    log: Path


@contextlib.contextmanager
def engine(module: str, folder: Path, arguments: Sequence[str] = (), *, timeout_s: float = 30.0) -> Iterator[Running]:
    """Run ``python -m portal.asr.engine.<module>`` until the block ends."""
    socket, log = folder / "e.sock", folder / "engine.log"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", f"portal.asr.engine.{module}", "--socket", str(socket), *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, env=environment)
    try:
        yield Running(process, EngineClient(socket, timeout_s=timeout_s), socket, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def wait_ready(running: Running, seconds: float = 60.0) -> None:
    """Wait until the engine says that it is ready."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert running.process.poll() is None, running.log.read_text()
        with contextlib.suppress(EngineUnavailable):
            if running.client.status().ready:
                return
        time.sleep(0.03)
    raise AssertionError("the engine did not become ready: " + running.log.read_text())


def recognise(client: EngineClient, pcm: bytes, hotwords: tuple[str, ...] = (), step: int = 1 << 20) -> list[Segment]:
    """A whole recording through the engine."""
    with client.open(options=RecordingOptions(hotwords=hotwords)) as recording:
        for start in range(0, len(pcm), step):
            recording.push(pcm[start : start + step])
        recording.finish()
        return list(recording.results())


def text_of(segments: Sequence[Segment]) -> str:
    """All words, joined."""
    return "".join(word.text for segment in segments for word in segment.words)


def has_espeak() -> bool:
    """Whether speech can be synthesised here."""
    return shutil.which("espeak-ng") is not None


def speak(text: str, folder: Path, voice: str = "cmn-latn-pinyin", speed: int = 190) -> np.ndarray:
    """Synthesised speech as int16 samples at 16 kHz, with silence around it."""
    path = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), text], check=True)
    with wave.open(str(path)) as sound:
        rate = sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.int16).astype(np.float64)
    count = int(len(samples) * 16_000 / rate)
    resampled = np.interp(np.arange(count) * rate / 16_000, np.arange(len(samples)), samples) * 0.5
    quiet = np.zeros(8_000)
    noise = np.random.default_rng(7).normal(0, 6, count + 16_000)
    return (np.concatenate([quiet, resampled, quiet]) + noise).astype("<i2")
