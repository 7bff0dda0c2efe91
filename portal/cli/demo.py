"""The shipped sample in somebody's history, through the same services as any upload."""

from __future__ import annotations

import sqlalchemy as sa

from portal.db import create_engine, session_factory
from portal.models import User
from portal.services.identity.actor import actor_of
from portal.services.recordings import receiving, uploads
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.options import UploadOptions
from portal.settings import MODELS_DIR, Settings

SAMPLE = MODELS_DIR / "sample.wav"
NAME = "示例录音.wav"
_KEY = "demo-sample"


def add_sample(settings: Settings, login: str) -> None:
    """Upload the sample for the everyday person ``login`` and queue it; a second call changes nothing.

    Raises:
        LookupError: there is no such person.
    """
    engine = create_engine(settings)
    sessions = session_factory(engine)
    store = FileStore.of(settings)
    try:
        with sessions.begin() as session:
            user = session.scalars(sa.select(User).where(User.login_key == f"local:{login.lower()}")).one_or_none()
            if user is None:
                raise LookupError(f"no local person {login!r}")
            actor = actor_of(user, address="local", request_id="demo")
            row = uploads.begin(
                session,
                actor,
                file_name=NAME,
                total_bytes=SAMPLE.stat().st_size,
                options=UploadOptions(),
                settings=settings,
                store=store,
                idempotency_key=_KEY,
            )
            upload_id, state, received = row.id, row.state, row.received_bytes
        if state == "open":
            with SAMPLE.open("rb") as file:
                file.seek(received)
                blocks = iter(lambda: file.read(1 << 20), b"")
                receiving.receive(
                    receiving.Receiver(sessions.begin, store, settings), actor, upload_id, received, blocks
                )
    finally:
        engine.dispose()
