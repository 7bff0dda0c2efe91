"""``portal bench``: measure this installation. Absolute times are reported here and never asserted by tests."""

from __future__ import annotations

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from portal.cli.benchmarks.engine import engine_command
from portal.cli.benchmarks.handover import handover_command
from portal.settings import MODELS_DIR, Settings, load_settings

SAMPLE = MODELS_DIR / "sample.wav"
PAUSE_SECONDS = 3.0


@click.group("bench")
def bench_group() -> None:
    """Measure this installation."""


bench_group.add_command(engine_command)
bench_group.add_command(handover_command)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def show(figures: dict[str, Any], as_json: bool) -> None:
    """Print figures for people or for programs."""
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    for name, value in figures.items():
        click.echo(f"{name:28} {value}")


def long_recording(path: Path, hours: float) -> None:
    """The shipped sample again and again with pauses of 3 s, until it is ``hours`` long (16 kHz mono WAV)."""
    with wave.open(str(SAMPLE)) as source:
        rate = source.getframerate()
        piece = source.readframes(source.getnframes()) + b"\0\0" * int(PAUSE_SECONDS * rate)
    wanted = int(hours * 3600 * rate) * 2
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        written = 0
        while written < wanted:
            part = piece[: wanted - written]
            target.writeframesraw(part)
            written += len(part)


@contextmanager
def engine(settings: Settings) -> Iterator[Path]:
    """The socket of the running engine, or of a private one that ends with us."""
    from portal.asr.engine.client import EngineClient
    from portal.asr.errors import AsrError

    try:
        if EngineClient(settings.engine_socket, timeout_s=3).status().ready:
            yield settings.engine_socket
            return
    except AsrError:
        pass
    from portal.supervisor.plans import engine_plan

    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        private = settings.model_copy(update={"socket_dir": Path(folder)})
        process = subprocess.Popen(engine_plan(private).argv, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            wait_until_ready(private.engine_socket, process)
            yield private.engine_socket
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait_until_ready(socket: Path, process: subprocess.Popen[bytes], seconds: float = 600) -> None:
    """Until the engine answers that it is ready.

    Raises:
        click.ClickException: it ended or the time is over.
    """
    from portal.asr.engine.client import EngineClient
    from portal.asr.errors import AsrError

    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if EngineClient(socket, timeout_s=3).status().ready:
                return
        except AsrError:
            pass
        time.sleep(0.2)
    raise click.ClickException("the engine does not start; run portal doctor")


@bench_group.command("memory")
@click.option("--hours", type=click.FloatRange(0.01, 12), default=3.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def memory_command(hours: float, as_json: bool) -> None:
    """Transcribe a long recording and report peak memory of worker, decoder and engine, and the speed."""
    from portal.asr.audio import DecodeLimits
    from portal.asr.engine.client import EngineClient
    from portal.asr.pipeline import transcribe
    from portal.asr.types import TranscribeOptions

    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder, engine(settings) as socket:
        recording = Path(folder) / "long.wav"
        long_recording(recording, hours)
        client = EngineClient(socket)
        begun = time.monotonic()
        result = transcribe(
            recording,
            TranscribeOptions(),
            client,
            limits=DecodeLimits(),
            on_progress=lambda _progress: None,
            should_stop=lambda: False,
        )
        seconds = time.monotonic() - begun
        figures = {
            "audio_hours": round(result.audio_ms / 3_600_000, 3),
            "sentences": len(result.sentences),
            "characters": len(result.text),
            "wall_seconds": round(seconds, 1),
            "audio_per_wall": round(result.audio_ms / 1000 / seconds, 1),
            "worker_peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "decoder_peak_rss_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
            "engine_rss_mib": client.status().rss_bytes // 1024**2,
            **machine(),
        }
    show(figures, as_json)


@bench_group.command("start")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def start_command(as_json: bool) -> None:
    """Start the portal twice in a fresh folder and report the seconds until it is ready and until it has stopped."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        for name in ("first", "second"):
            ready, stopped = start_once(Path(folder) / "instance")
            figures[f"{name}_start_seconds"] = round(ready, 1)
            figures[f"{name}_stop_seconds"] = round(stopped, 1)
    show({**figures, **machine()}, as_json)


def start_once(instance: Path) -> tuple[float, float]:
    """Seconds until ``portal up`` shows its address, and until it has stopped after Ctrl-C."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.cli", "up", "--port", "18437", "--no-self-check"],
        env={**os.environ, "PORTAL_INSTANCE": str(instance)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("http") and len(line.split("/")) == 3:
            break
    else:
        raise click.ClickException("the portal does not start; run portal doctor")
    ready = time.monotonic() - begun
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    process.wait(timeout=120)
    return ready, time.monotonic() - begun - ready
