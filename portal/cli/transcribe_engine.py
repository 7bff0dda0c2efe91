"""The engine that ``portal transcribe`` uses: the one that runs, else a private one that ends with the command."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from portal.asr.engine.client import EngineClient
    from portal.settings import Settings

_START_SECONDS = 180.0
"""Loading a large model from a slow disk takes minutes, not hours."""
_STOP_SECONDS = 10.0


@contextlib.contextmanager
def engine_client() -> Iterator[EngineClient]:
    """A client of the running engine, or of a private one. Raises EngineUnavailable when neither comes up."""
    from portal.asr.engine.client import EngineClient
    from portal.asr.errors import EngineUnavailable
    from portal.settings import load_settings

    settings = load_settings()
    running = EngineClient(settings.engine_socket)
    try:
        loading = running.status().state == "loading"
    except EngineUnavailable:
        with _private_engine(settings) as client:
            yield client
        return
    if loading:
        _wait_until_ready(running, None)
    yield running


@contextlib.contextmanager
def _private_engine(settings: Settings) -> Iterator[EngineClient]:
    from portal.asr.engine.client import EngineClient

    # in /tmp by name: a socket's path has room for 107 bytes
    with tempfile.TemporaryDirectory(prefix="portal-", dir="/tmp") as folder:
        socket = Path(folder) / "engine.sock"
        process = subprocess.Popen(
            _command(settings, socket), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if sys.stderr.isatty():
                click.echo("No engine is running; loading the models …", err=True)
            client = EngineClient(socket)
            _wait_until_ready(client, process)
            yield client
        finally:
            _stop(process)


def _command(settings: Settings, socket: Path) -> list[str]:
    from portal.supervisor.plans import model_arguments

    return [
        *(sys.executable, "-m", "portal.asr.engine.server"),
        *("--socket", str(socket)),
        *model_arguments(settings),
        *("--device", settings.engine_device),
        *("--allow-uid", str(os.getuid())),
    ]


def _wait_until_ready(client: EngineClient, process: subprocess.Popen[bytes] | None) -> None:
    from portal.asr.errors import EngineUnavailable

    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            detail = "the engine ended; `portal doctor` and `portal model verify` say why"
            raise EngineUnavailable("ENGINE_NOT_STARTED", detail)
        state = "absent"
        with contextlib.suppress(EngineUnavailable):
            state = client.status().state
        if state == "failed":
            raise EngineUnavailable("ENGINE_NOT_STARTED", "the engine failed to load its models")
        if state == "ready":
            return
        time.sleep(0.1)
    raise EngineUnavailable("ENGINE_NOT_STARTED", f"the engine was not ready after {_START_SECONDS:g} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
