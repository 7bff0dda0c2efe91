"""``python -m portal.asr.engine.fake``: the real engine's socket, protocol and scheduling without models, for tests.

The text of a recording is a function of its samples' SHA-256 (``expected_text``), so a test can prove that a transcript
belongs to its own audio. Speech is everything but digital silence, cut every ten seconds. Faults come by script
(``--script 3:oom,5:abort``: at the third and fifth batch) or in the audio itself (``marker("abort")`` at the start of a
ten-second piece), which is how a poisoned recording behaves.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from portal.asr.engine.backend import (
    Backend,
    BatchOptions,
    Heard,
    OutOfMemory,
    Punctuation,
    Recognised,
    Speech,
    VoiceStage,
)
from portal.asr.engine.contract import CacheCleared, Memory, RecordingOptions
from portal.asr.engine.listening import add_arguments, remote_of
from portal.asr.engine.scheduler import MAX_QUEUED_S, MAX_RECORDINGS
from portal.asr.engine.service import Service, ServiceSettings, allowed_uids
from portal.asr.errors import EngineFailed, ModelError
from portal.asr.types import ModelInfo, Word

SEGMENT_MS: Final = 10_000
MODES: Final = ("oom", "oom-long", "oom-always", "abort", "hang", "garbage", "empty", "empty-twice", "cut", "nan")
"""``oom``: no memory the first time; ``oom-long``: none for more than 3 s at once; ``oom-always``: none on the device.
``empty-twice``: no words unless cut in two; ``cut``: the text of more than 3 s does not come to its end."""
_BYTES: Final = SEGMENT_MS * 32
_LETTERS: Final = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分"
    "对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
)
_WORD_MS: Final = 250
_FITS_MS: Final = 3_000
_CAPABILITIES: Final = frozenset({"hotwords", "word_times", "punctuation"})


def marker(mode: str) -> bytes:
    """Samples (16 bytes) that make the fake fail in this way when a ten-second piece begins with them."""
    return f"FAKE!{mode}".encode().ljust(16, b"!")


def expected_text(pcm: bytes, hotwords: Sequence[str] = (), model: str = "fake") -> str:
    """The words, joined, that the fake engine gives for a whole recording with the model of this name."""
    pieces = [pcm[start : start + _BYTES] for start in range(0, len(pcm), _BYTES)]
    segments = [_words(_Piece.of(piece), hotwords, model) for piece in pieces if any(piece)]
    return "".join(word.text for words in segments for word in words)


@dataclass(frozen=True, slots=True)
class _Piece:
    """``digest`` stands for the samples of a whole piece; a part of one keeps it and says where it begins."""

    digest: bytes
    length_ms: int
    mode: str | None
    from_ms: int = 0
    whole: bool = True

    @classmethod
    def of(cls, pcm: bytes) -> _Piece:
        mode = next((mode for mode in MODES if pcm.startswith(marker(mode))), None)
        return cls(hashlib.sha256(pcm).digest(), len(pcm) // 32, mode)


def _words(piece: _Piece, hotwords: Sequence[str], model: str) -> tuple[Word, ...]:
    first, count = piece.from_ms // _WORD_MS, max(1, piece.length_ms // _WORD_MS)
    seed = piece.digest if model == "fake" else piece.digest + model.encode()
    stream = hashlib.shake_256(seed).digest(first + count)[first:]
    texts = [_LETTERS[byte % len(_LETTERS)] for byte in stream]
    if hotwords and not first:
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
    capabilities: frozenset[str] = _CAPABILITIES
    profile: str = "exact"
    hears_together: int = 4
    profile_note: str | None = None
    info: ModelInfo = field(default_factory=lambda: fake_model())
    closed: bool = False
    voices: VoiceStage | None = None
    _batches: int = 0
    _survived: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        time.sleep(self.load_s)

    @property
    def model(self) -> ModelInfo:
        """A model that says it is the fake."""
        return dataclasses.replace(self.info, device="cuda" if self.gpu else "cpu")

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
            if piece.mode == "oom-always" or (piece.mode == "oom-long" and piece.length_ms > _FITS_MS):
                raise OutOfMemory
            if piece.mode in ("abort", "hang"):
                self._fault(piece.mode)
        time.sleep(self.rtf * sum(piece.length_ms for piece in pieces) / 1000)
        assert not self.closed, "work for models that were freed"
        return [self._answer(piece, options.hotwords, piece.mode or scripted) for piece in pieces]

    def halve(self, speech: Speech) -> tuple[Speech, Speech] | None:
        """See backend.Backend; the cut lies between two words."""
        piece = cast(_Piece, speech.features)
        cut = piece.length_ms // 2 // _WORD_MS * _WORD_MS
        if piece.length_ms < 1_000:
            return None
        parts = [
            dataclasses.replace(piece, length_ms=length, from_ms=piece.from_ms + begin, whole=False)
            for begin, length in ((0, cut), (cut, piece.length_ms - cut))
        ]
        middle = speech.begin_ms + cut
        return (
            Speech(speech.begin_ms, middle, max(1, cut // 60), parts[0]),
            Speech(middle, speech.end_ms, max(1, (piece.length_ms - cut) // 60), parts[1]),
        )

    def recognise_on_cpu(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """See backend.Backend."""
        return [self._answer(piece, options.hotwords, None) for piece in cast(Sequence[_Piece], features)]

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
        if mode == "empty" or (mode == "empty-twice" and piece.whole):
            return Recognised(())
        words = _words(piece, hotwords, self.info.name)
        if mode == "cut" and piece.length_ms > _FITS_MS:
            return Recognised(words[: len(words) // 2], cut_off=True)
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
        if self.closed:
            return Memory(0, gib // 2, 24 * gib - gib // 2 - 3 * gib, 24 * gib, 3 * gib)
        return Memory(2 * gib, 4 * gib, 17 * gib, 24 * gib, 3 * gib)

    def close(self) -> None:
        """See backend.Backend."""
        self.closed = True

    def gauges(self) -> tuple[int | None, int | None]:
        """See backend.Backend."""
        return (37, 54) if self.gpu else (None, None)

    def clear_cache(self) -> CacheCleared:
        """See backend.Backend."""
        return CacheCleared(4 << 30, 2 << 30) if self.gpu else CacheCleared(100 << 20, 90 << 20)


def fake_model(device: str = "", name: str = "fake") -> ModelInfo:
    """How the fake calls itself."""
    return ModelInfo(name, "Fake", hashlib.sha256(name.encode()).hexdigest(), device, demo=True)


class FakeSource:
    """Models by name and digest, the first one serves. One called ``broken`` fails the canary, ``missing`` can't be
    built, ``large`` finds no memory; ``current``: a file with the name that the settings give, read anew each time."""

    def __init__(
        self, build: Callable[[ModelInfo], Backend], models: Mapping[str, str], current: Path | None = None
    ) -> None:
        self._build = build
        self._known = {
            digest: dataclasses.replace(fake_model(name=name), digest=digest) for name, digest in models.items()
        }
        self._digests = models
        self._current = current

    def at_start(self) -> ModelInfo:
        """See lifecycle.Source."""
        return self.configured()

    def configured(self) -> ModelInfo:
        """See lifecycle.Source."""
        first = next(iter(self._digests))
        name = first if self._current is None else self._current.read_text(encoding="utf-8").strip()
        return self.find(self._digests.get(name, ""))

    def on_reload(self, in_use: str) -> ModelInfo:
        """See lifecycle.Source."""
        return self.find(in_use) if self._current is None else self.configured()

    def find(self, digest: str) -> ModelInfo:
        """See lifecycle.Source."""
        if digest not in self._known:
            raise ModelError("MODEL_UNKNOWN", "no registered model has this digest")
        return self._known[digest]

    def build(self, digest: str) -> Backend:
        """See lifecycle.Source."""
        info = self.find(digest)
        if info.name == "missing":
            raise ModelError("MODEL_MISSING_FILE", "model.pt is missing", file="model.pt")
        if info.name == "large":
            raise OutOfMemory
        return self._build(info)

    def check(self, digest: str, backend: Backend) -> bool:
        """See lifecycle.Source."""
        if self.find(digest).name == "broken":
            raise EngineFailed(detail="the canary recording gave other words than expected")
        return True

    def remember(self, digest: str) -> None:
        """See lifecycle.Source."""


def _script(text: str) -> dict[int, str]:
    """``3:oom,5:abort`` to {3: "oom", 5: "abort"}."""
    steps = dict(step.split(":", 1) for step in text.split(",") if step)
    if not all(number.isdecimal() and mode in MODES for number, mode in steps.items()):
        raise argparse.ArgumentTypeError(f"a script reads N:MODE,… with modes {', '.join(MODES)}")
    return {int(number): mode for number, mode in steps.items()}


def _names(text: str) -> tuple[str, ...]:
    """``a,b`` to ("a", "b")."""
    return tuple(name for name in text.split(",") if name)


def _models(text: str) -> dict[str, str]:
    """``a,b=<digest>`` to {"a": its own digest, "b": digest}."""
    named = (item.partition("=") for item in text.split(","))
    return {name: digest or fake_model(name=name).digest for name, _, digest in named}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m portal.asr.engine.fake", description="An engine without models.")
    add_arguments(parser)
    parser.add_argument("--rtf", type=float, default=0.0, help="seconds of work per second of speech")
    parser.add_argument("--script", type=_script, default={}, help="N:MODE,… faults at the N-th batch")
    parser.add_argument("--gpu", action="store_true", help="pretend to be a GPU with figures")
    parser.add_argument("--banner", help="a banner code such as CPU_FALLBACK")
    parser.add_argument("--load-s", type=float, default=0.0, help="seconds of pretended loading")
    parser.add_argument("--models", type=_models, default="fake", help="NAME or NAME=DIGEST,… ; the first one serves")
    parser.add_argument("--current", type=Path, help="file with the name of the model that the settings give")
    parser.add_argument("--idle-unload-s", type=float, default=0.0)
    parser.add_argument("--languages", type=_names, default=(), help="CODE,… that may be chosen")
    parser.add_argument("--capabilities", type=_names, default=tuple(_CAPABILITIES), help="NAME,… instead of the usual")
    parser.add_argument("--no-cpu-rescue", dest="cpu_rescue", action="store_false")
    parser.add_argument("--canary-idle-s", type=float, default=0.0)
    parser.add_argument("--max-recordings", type=int, default=MAX_RECORDINGS)
    parser.add_argument("--max-queued-s", type=float, default=MAX_QUEUED_S)
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
        idle_unload_s=options.idle_unload_s,
        canary_idle_s=options.canary_idle_s,
        cpu_rescue=options.cpu_rescue,
        max_recordings=options.max_recordings,
        max_queued_s=options.max_queued_s,
        remote=remote_of(options),
    )
    name = "Fake GPU" if options.gpu else "fake"

    def build(info: ModelInfo) -> Backend:
        return FakeModels(
            options.rtf,
            options.script,
            options.gpu,
            options.load_s,
            options.banner,
            name,
            languages=options.languages,
            capabilities=frozenset(options.capabilities),
            info=info,
        )

    return Service(settings, FakeSource(build, options.models, options.current), fake_model()).run()


if __name__ == "__main__":
    sys.exit(main())
