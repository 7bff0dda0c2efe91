"""The real processes behind a transcription: Redis, fake engine, workers, housekeeping; startable and killable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from portal.asr.engine.client import EngineClient
from portal.asr.errors import AsrError
from portal.db import create_engine, session_factory, upgrade
from portal.models import AuditEvent, Recording, Transcript, Transcription, User
from portal.services.audit import load_audit_key
from portal.services.recognition import transcriptions
from portal.services.recordings.file_store import FileStore
from portal.settings import Settings, load_settings
from tests.support.redis_server import RedisServer
from tests.support.running import alive, descendants
from tests.support.sounds import wav
from tests.support.world import World, actor, make_world

ROOT = Path(__file__).parents[2]


class Workplace:
    """One instance folder with everything that works on it."""

    def __init__(self, folder: Path, redis: RedisServer, database_url: str | None, **changes: object) -> None:
        self.redis = redis
        values: dict[str, object] = {"lease_seconds": 5, "reconcile_seconds": 0.5, **changes}
        self.settings: Settings = load_settings(
            instance=folder / "i", socket_dir=redis.folder, redis_url=redis.url, database_url=database_url, **values
        )
        self._changes = values
        self._processes: list[subprocess.Popen[bytes]] = []
        upgrade(self.settings)
        load_audit_key(self.settings.instance)
        self.engine = create_engine(self.settings)
        self.sessions: sessionmaker[Session] = session_factory(self.engine)
        self.store = FileStore.of(self.settings)
        with self.sessions.begin() as session:
            self.world: World = make_world(session)

    # processes ----------------------------------------------------------------------------------------------------
    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """``python -m module`` with this workplace's settings."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        environment |= {
            "PORTAL_INSTANCE": str(self.settings.instance),
            "PORTAL_REDIS_URL": self.redis.url,
            "PORTAL_SOCKET_DIR": str(self.redis.folder),
        }
        if self.settings.database_url:
            environment["PORTAL_DATABASE_URL"] = self.settings.database_url
        environment |= {f"PORTAL_{name.upper()}": str(value) for name, value in self._changes.items()}
        log = (self.settings.instance / f"{module.rsplit('.', 1)[-1]}.log").open("ab")
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, stderr=log)
        log.close()
        self._processes.append(process)
        return process

    def start_engine(self, rtf: float = 0.0, *arguments: str, number: int = 0) -> subprocess.Popen[bytes]:
        """The fake engine, ready; ``number`` where there are several. ``rtf``: seconds of work per second of sound."""
        path = self.settings.local_engine_sockets[number]
        path.unlink(missing_ok=True)
        process = self.start("portal.asr.engine.fake", "--socket", str(path), "--rtf", str(rtf), *arguments)
        self.until(lambda: self._ready(path), 20)
        return process

    def _ready(self, path: Path) -> bool:
        try:
            return EngineClient(path, timeout_s=2).status().ready
        except AsrError:
            return False

    def until_recognising(self, transcription_id: uuid.UUID) -> None:
        """Wait until the engine is at work on it."""
        self.until_state(transcription_id, "running")
        client = EngineClient(self.settings.engine_socket, timeout_s=5)
        self.until(lambda: client.status().running_recordings > 0)

    def start_worker(self) -> subprocess.Popen[bytes]:
        """One RQ worker."""
        return self.start("portal.jobs.worker")

    def start_housekeeping(self) -> subprocess.Popen[bytes]:
        """One housekeeping process."""
        return self.start("portal.jobs.housekeeping")

    def close(self) -> None:
        """End everything."""
        children = {pid for process in self._processes if process.poll() is None for pid in descendants(process.pid)}
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in children:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.engine.dispose()

    # work ---------------------------------------------------------------------------------------------------------
    def submit(
        self, user: User, seconds: float = 1.0, seed: int = 0, *, content: bytes | None = None, **options: Any
    ) -> uuid.UUID:
        """A recording with its file in the store, queued; returns the transcription's id. ``options``: as snapshots."""
        data = wav(seconds, seed) if content is None else content
        recording_id = uuid.uuid4()
        with self.store.append(recording_id) as writer:
            writer.write_at(0, data)
        self.store.adopt(recording_id)
        with self.sessions.begin() as session:
            recording = Recording(
                id=recording_id, owner_id=user.id, department_id=user.department_id, title="会议", bytes=len(data),
                original_name="会议.wav", sha256="0" * 64, container="wav", duration_ms=int(seconds * 1000),
            )  # fmt: skip
            session.add(recording)
            session.flush()
            row = transcriptions.submit(
                session, actor(user), recording, options={"itn": False, "channels": "mix", **options},
                hotwords=[], hotword_versions=[], settings=self.settings,
            )  # fmt: skip
            return row.id

    def row(self, transcription_id: uuid.UUID) -> Transcription:
        """The row as it stands."""
        with self.sessions() as session:
            return session.get_one(Transcription, transcription_id)

    def texts(self, transcription_id: uuid.UUID) -> list[Transcript]:
        """The transcripts of a transcription."""
        with self.sessions() as session:
            return list(session.scalars(sa.select(Transcript).where(Transcript.transcription_id == transcription_id)))

    def audited(self, transcription_id: uuid.UUID) -> list[str]:
        """The names of what was done to a transcription, in order."""
        with self.sessions() as session:
            query = sa.select(AuditEvent.action).where(AuditEvent.object_id == str(transcription_id))
            return list(session.scalars(query.order_by(AuditEvent.seq)))

    def until(self, reached: Callable[[], bool], seconds: float = 30) -> float:
        """Wait for something; returns how long it took (s)."""
        began = time.monotonic()
        while not reached():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"not reached within {seconds} s; logs:\n{self.logs()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def until_state(self, transcription_id: uuid.UUID, state: str, seconds: float = 30) -> float:
        """Wait until a transcription is in ``state``."""
        return self.until(lambda: self.row(transcription_id).state == state, seconds)

    def logs(self) -> str:
        """The end of every process's log."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.settings.instance.glob("*.log"))
        )
