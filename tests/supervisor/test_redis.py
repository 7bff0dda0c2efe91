"""The embedded Redis as it really starts, and the refusal of one that would lose jobs."""

from __future__ import annotations

import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from portal.settings import Settings
from portal.supervisor import plans
from portal.supervisor.redis import RedisRefused, answers, facts, find_server, refuse_forgetful

pytestmark = pytest.mark.redis


@contextmanager
def serving(argv: tuple[str, ...], url: str) -> Iterator[redis.Redis]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not answers(url):
            assert time.monotonic() < end
            time.sleep(0.02)
        with redis.Redis.from_url(url) as client:
            yield client
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def embedded(settings: Settings) -> tuple[tuple[str, ...], str]:
    server = find_server()
    assert server is not None
    plans.make_private(settings.instance)
    plans.make_private(settings.run_dir)
    return plans.redis_plan(settings, server).argv, settings.effective_redis_url


def test_it_keeps_everything_and_listens_on_its_private_socket_only(
    embedded: tuple[tuple[str, ...], str], settings: Settings
) -> None:
    argv, url = embedded
    with serving(argv, url) as client:
        assert refuse_forgetful(url) == facts(url)
        info = client.info()
        assert (info["aof_enabled"], info["maxmemory_policy"], info["tcp_port"]) == (1, "noeviction", 0)
        assert stat.S_IMODE(settings.redis_socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(settings.run_dir.stat().st_mode) == 0o700


def test_what_was_acknowledged_survives_kill_9(embedded: tuple[tuple[str, ...], str]) -> None:
    argv, url = embedded
    with serving(argv, url) as client:
        for number in range(300):
            client.rpush("rq:queue:default", number)
    with serving(argv, url) as client:
        assert client.llen("rq:queue:default") == 300


@pytest.mark.parametrize(
    "words", [("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("SHUTDOWN",), ("MODULE", "LIST")]
)
def test_its_user_cannot_empty_or_change_it(embedded: tuple[tuple[str, ...], str], words: tuple[str, ...]) -> None:
    argv, url = embedded
    with serving(argv, url) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*words)  # type: ignore[no-untyped-call]


def test_its_user_touches_only_keys_of_the_queue(embedded: tuple[tuple[str, ...], str]) -> None:
    argv, url = embedded
    with serving(argv, url) as client:
        assert client.set("rq:job:1", "x")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("something-else", "x")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--appendonly", "no"), "appendonly"),
        (("--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"), "allkeys-lru"),
    ],
)
def test_a_forgetful_server_is_refused(tmp_path: Path, words: tuple[str, ...], reason: str) -> None:
    server = find_server()
    assert server is not None
    socket = tmp_path / "redis.sock"
    argv = (server, "--port", "0", "--unixsocket", str(socket), "--dir", str(tmp_path), *words)
    with serving(argv, f"unix://{socket}"), pytest.raises(RedisRefused, match=reason):
        refuse_forgetful(f"unix://{socket}")


def test_a_silent_server_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RedisRefused, match="does not answer"):
        refuse_forgetful(f"unix://{tmp_path}/nobody.sock")
