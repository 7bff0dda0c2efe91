"""A step of ``portal up`` in a process of its own: the shipped sample through the running engine.

With ``--demo`` the sample also goes into the everyday account's history. The last line of its output is JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from portal.asr.engine.client import EngineClient
from portal.asr.pipeline import transcribe
from portal.settings import MODELS_DIR, load_settings

SAMPLE = MODELS_DIR / "sample.wav"


def sample_text() -> str:
    """What the engine hears in the sample."""
    settings = load_settings()
    with EngineClient(settings.engine_socket) as engine:
        return transcribe(SAMPLE, engine=engine).text


def main(arguments: list[str]) -> dict[str, Any]:
    """Do the work; returns what the terminal shows."""
    answer: dict[str, Any] = {}
    if "--no-text" not in arguments:
        answer["text"] = sample_text()
    if "--demo" in arguments:
        from portal.app import create_app
        from portal.cli.demo import add_sample

        app = create_app()
        with app.app_context():
            add_sample(app)
    return answer


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), ensure_ascii=False))
