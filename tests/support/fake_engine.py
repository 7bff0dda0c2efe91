"""The fake engine on the socket of some settings, with the models that those know."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from portal.asr.engine.client import EngineClient
from portal.asr.errors import AsrError
from portal.settings import Settings

ROOT = Path(__file__).parents[2]


@contextmanager
def fake_engine(settings: Settings, *options: str, models: Mapping[str, str] | None = None) -> Iterator[EngineClient]:
    """Run it until the block ends. ``models``: name → digest, the first one serves."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "portal.asr.engine.fake", "--socket", str(settings.engine_socket), *options]
    if models:
        command += ["--models", ",".join(f"{name}={digest}" for name, digest in models.items())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        client = EngineClient(settings.engine_socket)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if client.status().ready:
                    break
            except AsrError:
                time.sleep(0.05)
        yield client
    finally:
        process.terminate()
        process.wait(30)
