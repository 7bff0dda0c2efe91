"""The embedded Redis, and what any Redis must be like before the portal trusts it with its queue."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

KEYS = ("~rq:*", "~portal:*", "&rq:*", "&portal:*")
FORBIDDEN = ("flushall", "flushdb", "config", "debug", "module", "replicaof", "slaveof", "migrate", "shutdown", "acl")


class RedisRefused(Exception):
    """The Redis would lose jobs; the message says what to change."""


@dataclass(frozen=True)
class RedisFacts:
    """What a server says about itself."""

    version: str
    append_only: bool
    policy: str


def find_server() -> str | None:
    """Path of ``redis-server``: the system's first, which gets Debian's security patches."""
    return shutil.which("redis-server")


def embedded_argv(server: str, folder: Path, socket: Path) -> tuple[str, ...]:
    """Command line of a private server: no TCP port, socket for this user only, every write kept, nothing evicted.

    The one user may touch RQ's keys and ours and none of the commands that empty or reconfigure a server.
    """
    return (
        server,
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no", "--supervised", "no"),
        *("--user", "default", "on", "nopass", *KEYS, "+@all", *(f"-{name}" for name in FORBIDDEN)),
    )


def facts(url: str, *, seconds: float = 2.0) -> RedisFacts:
    """Ask the server at ``url``.

    Raises:
        redis.RedisError: it does not answer, or is still loading.
    """
    client = redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
    try:
        info: dict[str, Any] = client.info()
    finally:
        client.close()
    return RedisFacts(
        version=str(info.get("redis_version", "")),
        append_only=bool(int(info.get("aof_enabled", 0))),
        policy=str(info.get("maxmemory_policy", "")),
    )


def answers(url: str) -> bool:
    """Whether it answers and has loaded its data."""
    try:
        facts(url)
    except redis.RedisError:
        return False
    return True


def refuse_forgetful(url: str) -> RedisFacts:
    """Check that the server keeps what it acknowledged.

    Raises:
        RedisRefused: no answer, no append-only file, or keys may be evicted.
    """
    try:
        found = facts(url)
    except redis.RedisError as error:
        raise RedisRefused(
            f"Redis does not answer ({error}). Start it, or remove redis_url to use the own one."
        ) from None
    if found.policy != "noeviction":
        raise RedisRefused(
            f"Redis may throw jobs away: maxmemory-policy is {found.policy}. Set it to noeviction in redis.conf."
        )
    if not found.append_only:
        raise RedisRefused("Redis would lose jobs in a crash: set appendonly yes in redis.conf and restart it.")
    return found
