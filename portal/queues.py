"""RQ as a doorbell: a ring says "somebody waits" and carries an id, nothing else. The queue itself lies in SQL.

Redis may be away, slow or emptied: then a ring is lost, nobody sees an error, and housekeeping rings again.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterable

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from portal.settings import Settings

log = logging.getLogger(__name__)

QUEUE_NAME = "transcribe"
JOB = "portal.jobs.transcribe.run"
RING_TIMEOUT_S = 0.2
BREAKER_S = 3.0
JOB_TIMEOUT_S = 24 * 3600
"""Only a last resort: the lease and ``cancel`` end a job long before."""


def worker_connection(settings: Settings) -> Redis:
    """A connection that sits out a restart of Redis: 40 tries over about 75 s."""
    return Redis.from_url(
        settings.effective_redis_url,
        retry=Retry(ExponentialBackoff(cap=2, base=0.1), 40),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
        health_check_interval=30,
    )


def quick_connection(settings: Settings, timeout_s: float = RING_TIMEOUT_S) -> Redis:
    """A connection that gives up at once."""
    return Redis.from_url(
        settings.effective_redis_url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(ExponentialBackoff(cap=0, base=0), 0),
    )


def queue_on(connection: Redis) -> Queue:
    """The one queue. Its wire format is JSON: unpickling would run what somebody else wrote."""
    return Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer)


class _Breaker:
    """Leaves Redis alone for a few seconds after a failure, so that a page never waits for it twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_until: dict[str, float] = {}

    def is_open(self, url: str) -> bool:
        with self._lock:
            return time.monotonic() < self._open_until.get(url, 0.0)

    def failed(self, url: str) -> bool:
        """Note a failure; whether it is the first of an outage."""
        with self._lock:
            first = url not in self._open_until
            self._open_until[url] = time.monotonic() + BREAKER_S
            return first

    def worked(self, url: str) -> None:
        with self._lock:
            self._open_until.pop(url, None)


_breaker = _Breaker()


def ring(settings: Settings, transcription_id: uuid.UUID) -> bool:
    """Ring for one transcription, best effort; whether it was heard. Never raises, never takes longer than moments."""
    return ring_many(settings, [transcription_id]) == 1


def ring_many(settings: Settings, transcription_ids: Iterable[uuid.UUID], *, timeout_s: float = RING_TIMEOUT_S) -> int:
    """Ring for several, in order; how many were heard (all or none)."""
    ids = list(transcription_ids)
    url = settings.effective_redis_url
    if not ids or _breaker.is_open(url):
        return 0
    try:
        with quick_connection(settings, timeout_s) as connection:
            queue_on(connection).enqueue_many(
                [
                    Queue.prepare_data(
                        JOB,
                        args=[str(item)],
                        job_id=f"{item}_{uuid.uuid4().hex[:12]}",
                        timeout=JOB_TIMEOUT_S,
                        result_ttl=0,
                        failure_ttl=3600,
                        description=str(item),
                    )
                    for item in ids
                ]
            )
    except Exception as error:  # the row is committed: whatever is wrong with the bell, the person must not see it
        if _breaker.failed(url):
            log.warning("Redis is away (%s); housekeeping will ring again", type(error).__name__)
        return 0
    _breaker.worked(url)
    return len(ids)


def rung(settings: Settings) -> set[uuid.UUID] | None:
    """The transcriptions whose ring still waits to be heard; None while Redis is away."""
    try:
        with quick_connection(settings, timeout_s=2.0) as connection:
            names = queue_on(connection).get_job_ids()
    except (RedisError, OSError):
        return None
    _breaker.worked(settings.effective_redis_url)
    found = set()
    for name in names:
        try:
            found.add(uuid.UUID(name.split("_")[0]))
        except ValueError:
            continue
    return found
