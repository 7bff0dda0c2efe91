"""One RQ work-horse without its bell: a child of ``portal bench handover`` that works a queue off and says its cost."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

from portal.asr.engine.inference.benchmark.lines import Handler, serve
from portal.asr.itn import normalise
from portal.asr.types import Word
from portal.db import create_engine, session_factory
from portal.jobs.transcribe import Shift
from portal.services.audit import load_audit_key
from portal.settings import load_settings


def build() -> Mapping[str, Handler]:
    """Everything a horse has before its second recording: settings, database, the number grammar."""
    settings = load_settings()
    load_audit_key(settings.instance)
    sessions = session_factory(create_engine(settings))
    normalise([Word(character, 0, 1) for character in "二零二六年三月"], [""] * 7)

    def work(_request: dict[str, Any]) -> Mapping[str, Any]:
        cpu, decoders, wall = time.process_time(), _children_cpu(), time.perf_counter()
        count = Shift(settings, sessions, f"bench-{os.getpid()}").work_off()
        return {
            "count": count,
            "cpu": time.process_time() - cpu,
            "decode_cpu": _children_cpu() - decoders,
            "wall": time.perf_counter() - wall,
        }

    return {"work": work}


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(serve(build))
