"""``python -m portal.asr.engine.fake``: the real engine's socket, protocol and scheduling without models, for tests.

The text of a recording is a function of its samples' SHA-256 (``expected_text``), so a test can prove that a transcript
belongs to its own audio. Speech is everything but digital silence, cut every ten seconds. Faults come by script
(``--script 3:oom,5:abort``: at the third and fifth batch) or in the audio itself (``marker("abort")`` at the start of a
ten-second piece), which is how a poisoned recording behaves.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from portal.asr.engine.backend import Backend, BatchOptions, Heard, OutOfMemory, Punctuation, Recognised, Speech
from portal.asr.engine.contract import CacheCleared, Memory, RecordingOptions
from portal.asr.engine.service import Service, ServiceSettings, allowed_uids
from portal.asr.types import ModelInfo, Word

SEGMENT_MS: Final = 10_000
MODES: Final = ("oom", "abort", "hang", "garbage", "empty", "nan")
_BYTES: Final = SEGMENT_MS * 32
_LETTERS: Final = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分"
    "对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
)
_WORD_MS: Final = 250


def marker(mode: str) -> bytes:
    """Samples (16 bytes) that make the fake fail in this way when a ten-second piece begins with them."""
    return f"FAKE!{mode}".encode().ljust(16, b"!")


def expected_text(pcm: bytes, hotwords: Sequence[str] = ()) -> str:
    """The words, joined, that the fake engine gives for a whole recording."""
    pieces = [pcm[start : start + _BYTES] for start in range(0, len(pcm), _BYTES)]
    segments = [_words(_Piece.of(piece), hotwords) for piece in pieces if any(piece)]
    return "".join(word.text for words in segments for word in words)


@dataclass(frozen=True, slots=True)
class _Piece:
    digest: bytes
    length_ms: int
    mode: str | None

    @classmethod
    def of(cls, pcm: bytes) -> _Piece:
        mode = next((mode for mode in MODES if pcm.startswith(marker(mode))), None)
        return cls(hashlib.sha256(pcm).digest(), len(pcm) // 32, mode)


def _words(piece: _Piece, hotwords: Sequence[str]) -> tuple[Word, ...]:
    count = max(1, piece.length_ms // _WORD_MS)
    stream = hashlib.shake_256(piece.digest).digest(count)
    texts = [_LETTERS[byte % len(_LETTERS)] for byte in stream]
    if hotwords:
        texts[0] = hotwords[0]
    return tuple(
        Word(text, index * _WORD_MS, min((index + 1) * _WORD_MS, piece.length_ms), 0.9)
        for index, text in enumerate(texts)
    )


class FakeStream:
    """Cuts the samples every ten seconds."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._begin_ms = 0

    @property
    def waiting_from_ms(self) -> int:
        """See backend.Stream."""
        return self._begin_ms

    def feed(self, pcm: bytes, final: bool) -> list[Speech]:
        """See ``backend.Heard``."""
        self._held += pcm
        found: list[Speech] = []
        while len(self._held) >= _BYTES or (final and self._held):
            piece = bytes(self._held[:_BYTES])
            del self._held[:_BYTES]
            end_ms = self._begin_ms + len(piece) // 32
            if any(piece) and end_ms > self._begin_ms:
                frames = max(1, (end_ms - self._begin_ms) // 60)
                found.append(Speech(self._begin_ms, end_ms, frames, _Piece.of(piece)))
            self._begin_ms = end_ms
        return found


class FakePunctuation:
    """A comma after every tenth word, a full stop after every twentieth and the last."""

    def __init__(self, words: Sequence[str]) -> None:
        self.marks = ["。" if n % 20 == 0 else "，" if n % 10 == 0 else "" for n in range(1, len(words) + 1)]
        if self.marks:
            self.marks[-1] = "。"
        self.done = False


@dataclass(slots=True)
class FakeModels:
    """A backend without models. ``rtf``: seconds slept per second of speech. ``script``: batch number to fault."""

    rtf: float = 0.0
    script: dict[int, str] = field(default_factory=dict)
    gpu: bool = False
    load_s: float = 0.0
    banner: str | None = None
    device_name: str = "fake"
    budget_frames: int = 2_000
    languages: tuple[str, ...] = ()
    profile: str = "exact"
    hears_together: int = 4
    profile_note: str | None = None
    _batches: int = 0
    _survived: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        time.sleep(self.load_s)

    @property
    def model(self) -> ModelInfo:
        """A model that says it is the fake."""
        return fake_model("cuda" if self.gpu else "cpu")

    @property
    def capabilities(self) -> frozenset[str]:
        """All of them."""
        return frozenset({"hotwords", "word_times", "punctuation"})

    def open_stream(self, options: RecordingOptions) -> FakeStream:
        """See backend.Backend."""
        return FakeStream()

    def hear(self, pieces: Sequence[Heard]) -> list[list[Speech]]:
        """See backend.Backend."""
        return [cast(FakeStream, piece.stream).feed(piece.pcm, piece.final) for piece in pieces]

    def recognise(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """See backend.Backend."""
        self._batches += 1
        pieces = cast(Sequence[_Piece], features)
        scripted = self.script.get(self._batches)
        self._fault(scripted)
        for piece in pieces:
            if piece.mode == "oom" and piece.digest not in self._survived:
                self._survived.add(piece.digest)
                raise OutOfMemory
            if piece.mode in ("abort", "hang"):
                self._fault(piece.mode)
        time.sleep(self.rtf * sum(piece.length_ms for piece in pieces) / 1000)
        return [self._answer(piece, options.hotwords, piece.mode or scripted) for piece in pieces]

    def _fault(self, mode: str | None) -> None:
        if mode == "oom":
            raise OutOfMemory
        if mode == "abort":
            os.abort()
        if mode == "hang":
            time.sleep(3_600)

    def _answer(self, piece: _Piece, hotwords: Sequence[str], mode: str | None) -> Recognised | None:
        if mode == "nan":
            return None
        if mode == "empty":
            return Recognised(())
        words = _words(piece, hotwords)
        if mode == "garbage":
            return Recognised(tuple(Word("乱", word.begin_ms, word.end_ms, 0.01) for word in words))
        return Recognised(words)

    def begin_punctuation(self, words: Sequence[str]) -> FakePunctuation:
        """See backend.Backend."""
        return FakePunctuation(words)

    def punctuate(self, jobs: Sequence[Punctuation]) -> None:
        """See backend.Backend."""
        for job in jobs:
            cast(FakePunctuation, job).done = True

    def memory(self) -> Memory:
        """A card of 24 GiB when ``gpu`` was asked for."""
        if not self.gpu:
            return Memory()
        gib = 1 << 30
        return Memory(2 * gib, 4 * gib, 18 * gib, 24 * gib)

    def gauges(self) -> tuple[int | None, int | None]:
        """See backend.Backend."""
        return (37, 54) if self.gpu else (None, None)

    def clear_cache(self) -> CacheCleared:
        """See backend.Backend."""
        return CacheCleared(4 << 30, 2 << 30) if self.gpu else CacheCleared(100 << 20, 90 << 20)


def fake_model(device: str = "") -> ModelInfo:
    """How the fake calls itself."""
    return ModelInfo("fake", "Fake", hashlib.sha256(b"fake").hexdigest(), device, demo=True)


def _script(text: str) -> dict[int, str]:
    """``3:oom,5:abort`` to {3: "oom", 5: "abort"}."""
    steps = dict(step.split(":", 1) for step in text.split(",") if step)
    if not all(number.isdecimal() and mode in MODES for number, mode in steps.items()):
        raise argparse.ArgumentTypeError(f"a script reads N:MODE,… with modes {', '.join(MODES)}")
    return {int(number): mode for number, mode in steps.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m portal.asr.engine.fake", description="An engine without models.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--rtf", type=float, default=0.0, help="seconds of work per second of speech")
    parser.add_argument("--script", type=_script, default={}, help="N:MODE,… faults at the N-th batch")
    parser.add_argument("--gpu", action="store_true", help="pretend to be a GPU with figures")
    parser.add_argument("--banner", help="a banner code such as CPU_FALLBACK")
    parser.add_argument("--load-s", type=float, default=0.0, help="seconds of pretended loading")
    parser.add_argument("--allow-uid", type=int, nargs="*", default=[])
    parser.add_argument("--heartbeat-s", type=float, default=5.0)
    parser.add_argument("--stall-s", type=float, default=60.0)
    parser.add_argument("--drain-s", type=float, default=20.0)
    options = parser.parse_args(argv)
    settings = ServiceSettings(
        options.socket,
        allowed_uids(options.allow_uid),
        heartbeat_s=options.heartbeat_s,
        stall_s=options.stall_s,
        drain_s=options.drain_s,
    )
    name = "Fake GPU" if options.gpu else "fake"

    def build() -> Backend:
        return FakeModels(options.rtf, options.script, options.gpu, options.load_s, options.banner, name)

    return Service(settings, build, fake_model()).run()


if __name__ == "__main__":
    sys.exit(main())
