"""A caller that asks and does not read: its answers are not made before it takes the earlier ones, others go on."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from portal.asr.engine.connection import Connection, Engine
from portal.asr.engine.protocol import PROTOCOL_VERSION
from tests.engine.test_protocol import frame

QUESTIONS = 2_000
ROW = [1_700_000_000.123456, *[123_456_789_012] * 4, 50, 60, 123_456_789_012]


class _Engine:
    """Counts how often it was asked for the figures of the last hour."""

    asked = 0

    def history(self) -> list[list[Any]]:
        self.asked += 1
        return [ROW] * 1_800


async def _longest_pause(until: float) -> float:
    longest = 0.0
    while time.monotonic() < until:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    return longest


async def _ask_without_reading() -> tuple[int, int, float]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    engine = _Engine()
    serving = asyncio.ensure_future(Connection(cast(Engine, engine), reader, writer).serve())
    theirs.setblocking(False)
    question = frame(json.dumps({"type": "history", "version": PROTOCOL_VERSION}).encode())
    await asyncio.get_running_loop().sock_sendall(theirs, question * QUESTIONS)
    pause = await _longest_pause(time.monotonic() + 1)
    waiting = writer.transport.get_write_buffer_size()
    theirs.close()
    await serving
    return engine.asked, waiting, pause


def test_answers_wait_until_the_caller_has_read_the_earlier_ones() -> None:
    # a thread of its own: the browser's driver keeps an event loop in this one for the rest of the run
    with ThreadPoolExecutor(max_workers=1) as apart:
        asked, waiting, pause = apart.submit(lambda: asyncio.run(_ask_without_reading())).result(60)
    assert 1 <= asked < 20
    assert waiting < 4 << 20
    assert pause < 2
