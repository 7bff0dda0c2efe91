"""Real Redis, engine, workers and housekeeping for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer
from tests.support.workplace import Workplace


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A private Redis, empty."""
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def place(tmp_path: Path, redis: RedisServer) -> Iterator[Workplace]:
    """A workplace on SQLite; nothing is started yet but Redis."""
    workplace = Workplace(tmp_path, redis, None)
    yield workplace
    workplace.close()


@pytest.fixture
def any_place(tmp_path: Path, redis: RedisServer, database: str | None) -> Iterator[Workplace]:
    """A workplace on SQLite and on PostgreSQL in turn."""
    workplace = Workplace(tmp_path, redis, database)
    yield workplace
    workplace.close()


@pytest.fixture
def place_with(tmp_path: Path, redis: RedisServer) -> Iterator[Callable[..., Workplace]]:
    """``place_with(lease_seconds=9)``: a workplace with settings of its own."""
    made: list[Workplace] = []

    def make(**changes: object) -> Workplace:
        made.append(Workplace(tmp_path, redis, None, **changes))
        return made[-1]

    yield make
    for workplace in made:
        workplace.close()
