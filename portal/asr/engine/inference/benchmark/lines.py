"""The far end of a benchmark's child: one JSON request per line on stdin, one JSON answer per line on stdout.

Free of torch. Whatever libraries print goes to stderr, so that it can't be taken for an answer.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

Handler = Callable[[dict[str, Any]], Mapping[str, Any]]


def take_stdout() -> Callable[[Mapping[str, Any]], None]:
    """Keep stdout for answers; prints go to stderr from now on. Returns what sends an answer."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(values: Mapping[str, Any]) -> None:
        channel.write(json.dumps(values, ensure_ascii=False) + "\n")
        channel.flush()

    return answer


def serve(build: Callable[[], Mapping[str, Handler]]) -> int:
    """Call ``build`` for the handlers by name, say ``{"ready": true}``, then answer until stdin ends.

    A request is ``{"do": name, ...}``. An error becomes ``{"error": text}``; the child goes on, except when ``build``
    fails. Returns the exit status.
    """
    answer = take_stdout()
    try:
        handlers = build()
    except Exception as error:
        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {error}"[:500]})
        return 1
    answer({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(handlers[request.pop("do")](request))
        except Exception as error:
            traceback.print_exc()
            answer({"error": f"{type(error).__name__}: {error}"[:500]})
    return 0
