"""A step of ``portal up`` in a process of its own: the shipped sample through the running engine.

With ``--demo`` the sample also goes into the everyday account's history. The last line of its output is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from portal.asr.audio import DecodeLimits
from portal.asr.engine.client import EngineClient
from portal.asr.pipeline import transcribe
from portal.asr.types import TranscribeOptions
from portal.settings import MODELS_DIR, Settings, load_settings

SAMPLE = MODELS_DIR / "sample.wav"
TRANSCRIBED_SECONDS = 300.0


def sample_text(settings: Settings) -> str:
    """What the engine hears in the sample."""
    heard = transcribe(
        SAMPLE,
        TranscribeOptions(),
        EngineClient(settings.engine_socket),
        limits=DecodeLimits(),
        on_progress=lambda _progress: None,
        should_stop=lambda: False,
    )
    if heard.outcome != "text":
        raise SystemExit(f"the engine heard nothing in {SAMPLE}: {heard.outcome}")
    return heard.text


def add_to_history(settings: Settings) -> None:
    """Put the sample into the everyday demonstration account's history and wait until it is transcribed."""
    import sqlalchemy as sa

    from portal.cli.demo import add_sample
    from portal.cli.user import DEMO_ACCOUNTS
    from portal.db import create_engine, read_only
    from portal.models import User
    from portal.models.transcription import TERMINAL, Transcription
    from portal.services.audit import load_audit_key

    load_audit_key(settings.instance)
    login = DEMO_ACCOUNTS[0][0]
    add_sample(settings, login)
    unfinished = (
        sa.select(sa.func.count())
        .select_from(Transcription)
        .join(User, User.id == Transcription.owner_id)
        .where(User.login == login, Transcription.state.not_in([state.value for state in TERMINAL]))
    )
    engine = create_engine(settings)
    try:
        end = time.monotonic() + TRANSCRIBED_SECONDS
        while time.monotonic() < end:
            with read_only(), engine.connect() as connection:
                if connection.scalar(unfinished) == 0:
                    return
            time.sleep(0.25)
    finally:
        engine.dispose()
    raise SystemExit(f"the sample was not transcribed within {TRANSCRIBED_SECONDS:g} s; see the logs of the workers")


def main(arguments: list[str]) -> dict[str, Any]:
    """Do the work; returns what the terminal shows."""
    settings = load_settings()
    answer: dict[str, Any] = {}
    if "--no-text" not in arguments:
        begun = time.monotonic()
        answer["text"] = sample_text(settings)
        answer["seconds"] = round(time.monotonic() - begun, 1)
    if "--demo" in arguments:
        add_to_history(settings)
    return answer


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), ensure_ascii=False))
