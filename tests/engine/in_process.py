"""The scheduler and the model thread in this process, over the fake models: what happens can be looked into."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.asr.engine.backend import BatchOptions, Recognised
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.fake import FakeModels
from portal.asr.engine.model_thread import Care, ModelThread
from portal.asr.engine.protocol import ENGINE_MESSAGES, Message, check
from portal.asr.engine.recording import Recording
from portal.asr.engine.scheduler import Scheduler


@dataclass(slots=True)
class Watched(FakeModels):
    """The fake, remembering every batch: the pieces in it and the options. ``gate`` holds recognition up when given."""

    seen: list[tuple[list[Any], BatchOptions]] = field(default_factory=list)
    on_cpu: list[Any] = field(default_factory=list)
    gate: threading.Event | None = None

    def recognise(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """See FakeModels."""
        if self.gate is not None:
            self.gate.wait(10)
        self.seen.append((list(features), options))
        return FakeModels.recognise(self, features, options)

    def recognise_on_cpu(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """See FakeModels."""
        self.on_cpu += features
        return FakeModels.recognise_on_cpu(self, features, options)


@dataclass
class Caller:
    """One recording and everything that was sent to it."""

    recording: Recording
    messages: list[Message]

    def of(self, kind: str) -> list[Message]:
        """The messages of one type."""
        return [message for message in self.messages if message.type == kind]

    @property
    def text(self) -> str:
        """The words received so far, joined."""
        return "".join(word[0] for message in self.of("segment") for word in message["words"])

    @property
    def notices(self) -> list[str]:
        """Codes of the notices received."""
        return [message["code"] for message in self.of("notice")]

    @property
    def error(self) -> str | None:
        """Code of the error received."""
        return next((message["code"] for message in self.of("error")), None)


class House:
    """A scheduler with its model thread."""

    def __init__(self, backend: FakeModels, care: Care | None = None, **limits: Any) -> None:
        self.scheduler = Scheduler(**limits)
        self.endings: list[tuple[int, str]] = []
        ready = threading.Event()
        self.thread = ModelThread(
            self.scheduler, lambda: backend, lambda _: ready.set(), lambda *end: self.endings.append(end), care
        )
        self.thread.start()
        assert ready.wait(5)

    def open(self, pcm: bytes = b"", *, finish: bool = True, **options: Any) -> Caller:
        """A recording with these samples."""
        messages: list[Message] = []

        def send(message: Message) -> None:
            check(message, ENGINE_MESSAGES)
            messages.append(message)

        recording = self.scheduler.open(RecordingOptions(**options), send)
        if pcm:
            self.scheduler.push(recording, pcm)
        if finish:
            self.scheduler.finish(recording)
        return Caller(recording, messages)

    def until(self, reached: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait for something."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, (self.endings, self.thread.is_alive())
            time.sleep(0.005)

    def done(self, *callers: Caller) -> None:
        """Wait until every recording has ended, well or badly."""
        self.until(lambda: all(caller.of("done") or caller.of("error") for caller in callers))


@contextlib.contextmanager
def house(backend: FakeModels, care: Care | None = None, **limits: Any) -> Iterator[House]:
    """A house for the time of the block."""
    made = House(backend, care, **limits)
    try:
        yield made
    finally:
        made.scheduler.stop()
        made.thread.join(10)
