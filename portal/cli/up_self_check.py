"""A step of ``portal up`` in a process of its own: the shipped sample through the running engine.

With ``--demo`` the sample also goes into the everyday account's history. The last line of its output is JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from portal.asr.audio import DecodeLimits
from portal.asr.engine.client import EngineClient
from portal.asr.pipeline import transcribe
from portal.asr.types import TranscribeOptions
from portal.settings import MODELS_DIR, Settings, load_settings

SAMPLE = MODELS_DIR / "sample.wav"


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


def main(arguments: list[str]) -> dict[str, Any]:
    """Do the work; returns what the terminal shows."""
    settings = load_settings()
    answer: dict[str, Any] = {}
    if "--no-text" not in arguments:
        answer["text"] = sample_text(settings)
    if "--demo" in arguments:
        from portal.app import create_app
        from portal.cli.demo import add_sample

        app = create_app(settings)
        with app.app_context():
            add_sample(app)
    return answer


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), ensure_ascii=False))
