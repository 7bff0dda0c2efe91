"""``python -m portal.jobs.worker``: one RQ worker. Each ring is answered in a forked work-horse.

Against what RQ 2.12 does by itself (measured): a horse dies with its worker instead of running on beside its
successor; a restart of Redis doesn't end the worker; telling it to end neither waits for a long recording nor for a
Redis that is away. What a dead worker leaves behind is taken back by housekeeping, not by RQ.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import threading
import time
import uuid
from types import FrameType
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from portal import queues
from portal.jobs import stopping, transcribe
from portal.logs import configure_logging
from portal.services.audit import load_audit_key
from portal.settings import Settings, load_settings

log = logging.getLogger(__name__)

END_S = 10.0
"""After so long the process ends whatever it waits for; its supervisor would kill it a little later."""
_PR_SET_PDEATHSIG = 1
_LOADED_BEFORE_THE_FORK = transcribe.run
"""So that a horse starts with everything imported; it would otherwise do that for every ring."""


class PortalWorker(Worker):
    """RQ's forking worker with the differences named above."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """In the forked horse: tie its life to the worker's, then do the work."""
        die_with(os.getppid())
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """SIGTERM asks the work to hand back its lease; SIGINT in a terminal reaches the worker, which tells us."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda _number, _frame: stopping.process.ask())

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Told to end: remember it, and don't take longer than ``END_S``."""
        stopping.process.ask()
        watchdog = threading.Timer(END_S, os._exit, args=(1,))
        watchdog.daemon = True
        watchdog.start()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def handle_warm_shutdown_request(self) -> None:
        """Pass the wish on to the horse."""
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

    def _shutdown(self) -> None:
        # RQ asks Redis whether this worker is busy; in a signal handler and with Redis away that would take minutes
        if not self.horse_pid:
            raise StopRequested
        self._stop_requested = True

    def maintain_heartbeats(self, job: Job) -> None:
        """Tell Redis that the job lives; the work goes on without Redis."""
        try:
            super().maintain_heartbeats(job)
        except RedisError as error:
            self.log.warning("heartbeat not sent: %s", type(error).__name__)


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; ends at once when it has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def make_worker(settings: Settings, **changes: Any) -> PortalWorker:
    """A worker with its own connection. One queue: with several, RQ loses a job whose worker dies at the wrong time."""
    connection = queues.worker_connection(settings)
    options: dict[str, Any] = {
        "name": f"{socket.gethostname()[:60]}-{os.getpid()}-{uuid.uuid4().hex[:6]}",
        "connection": connection,
        "serializer": JSONSerializer,
        "job_monitoring_interval": 5,
        "maintenance_interval": 30,
        "worker_ttl": 60,
        "default_result_ttl": 0,
        **changes,
    }
    return PortalWorker([queues.queue_on(connection)], **options)


def main() -> None:
    """Work until told to end; a Redis that is away for long is waited for."""
    settings = load_settings()
    configure_logging(settings)
    load_audit_key(settings.instance)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    while not stopping.process.asked:
        worker = make_worker(settings)
        try:
            worker.work(logging_level=settings.log_level)
        except RedisError as error:
            log.warning("Redis is away (%s); trying again", type(error).__name__)
        except StopRequested:
            break
        finally:
            if worker.horse_pid:
                worker.kill_horse()
        if not stopping.process.asked:
            time.sleep(1.0)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
