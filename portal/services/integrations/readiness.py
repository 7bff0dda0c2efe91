"""Whether the parts this process needs answer: each asked for at most a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from redis.exceptions import RedisError

from portal.asr.engine.pool import EnginePool
from portal.asr.errors import AsrError
from portal.db import read_only
from portal.queues import quick_connection
from portal.settings import Settings

TIMEOUT_S = 1.0
_pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="readiness")
"""Kept: a check that hangs must not make the answer wait for its thread."""


def check_all(engine: sa.Engine, settings: Settings) -> dict[str, bool]:
    """Ask the database, Redis and the recognition engine at the same time."""
    checks: Mapping[str, Callable[[], bool]] = {
        "database": lambda: _database(engine),
        "redis": lambda: _redis(settings),
        "engine": lambda: _engine(settings),
    }
    asked = {name: _pool.submit(check) for name, check in checks.items()}
    answers = {}
    for name, future in asked.items():
        try:
            answers[name] = future.result(timeout=TIMEOUT_S)
        except TimeoutError:
            answers[name] = False
    return answers


def _database(engine: sa.Engine) -> bool:
    try:
        with read_only(), engine.connect() as connection:
            return bool(connection.scalar(sa.text("SELECT 1")) == 1)
    except sa.exc.SQLAlchemyError:
        return False


def _redis(settings: Settings) -> bool:
    try:
        with quick_connection(settings, timeout_s=TIMEOUT_S) as connection:
            return bool(connection.ping())
    except (RedisError, OSError):
        return False


def _engine(settings: Settings) -> bool:
    try:
        EnginePool(settings.engine_addresses, status_timeout_s=TIMEOUT_S / 2).pick()
    except AsrError:
        return False
    return True
