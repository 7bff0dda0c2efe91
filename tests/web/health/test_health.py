"""Alive, and ready: with the real parts, and with each of them missing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from portal.app import create_app
from portal.db import db, upgrade
from portal.settings import load_settings
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.processes]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[FlaskClient, RedisServer]]:
    """A portal on a real Redis and a fake engine."""
    redis = RedisServer()
    redis.start()
    settings = load_settings(instance=tmp_path / "i", redis_url=redis.url, socket_dir=redis.folder)
    upgrade(settings)
    app = create_app(settings)
    command = [sys.executable, "-m", "portal.asr.engine.fake", "--socket", str(settings.engine_socket)]
    engine = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    yield app.test_client(), redis
    engine.kill()
    engine.wait()
    redis.remove()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_ready_and_not(parts: tuple[FlaskClient, RedisServer]) -> None:
    client, redis = parts
    until(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/readyz").get_json() == {"ok": True, "checks": {"database": True, "redis": True, "engine": True}}
    redis.kill()
    began = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - began < 4
    assert answer.status_code == 503
    assert answer.get_json() == {"ok": False, "checks": {"database": True, "redis": False, "engine": True}}


def test_alive_asks_nobody(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"ok": True}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["checks"] == {"database": True, "redis": False, "engine": False}
