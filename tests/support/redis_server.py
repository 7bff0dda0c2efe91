"""A private redis-server for tests: own folder, Unix socket only, stopped and removed afterwards."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError


class RedisServer:
    """Can be stopped, killed and started again on the same socket; ``url`` stays."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="predis-", dir="/tmp"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
             "--dir", str(self.folder), "--appendonly", "no", "--save", "", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
                return
            except RedisError:
                time.sleep(0.02)
        raise RuntimeError("redis-server did not start")

    def client(self) -> Redis:
        """A connection; the caller closes it."""
        return Redis.from_url(self.url, socket_timeout=5)

    def kill(self) -> None:
        """kill -9: everything in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def flush(self) -> None:
        """Empty it."""
        with self.client() as client:
            client.flushall()

    def remove(self) -> None:
        """Stop and delete the folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
