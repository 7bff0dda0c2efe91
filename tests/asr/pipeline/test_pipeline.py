"""From a file to sentences: outcomes, channels, stopping, errors, bounded memory."""

from __future__ import annotations

import array
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.asr.audio import CHANNELS_NOT_SPLIT, TRUNCATED_MEDIA, DecodeLimits
from portal.asr.engine.client import EngineClient
from portal.asr.errors import Cancelled, EngineUnavailable, MediaError
from portal.asr.opening import EngineLike
from portal.asr.peaks import PeakCollector
from portal.asr.pipeline import Progress, transcribe
from portal.asr.types import ChannelMode, Replacement, TranscribeOptions, Transcription
from tests.asr.audio import corpus
from tests.asr.pipeline.engine import TEXT, MemoryEngine, MemoryRecording


def run(
    path: Path,
    engine: MemoryEngine | None = None,
    *,
    options: TranscribeOptions | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_peaks: Callable[[PeakCollector], None] | None = None,
) -> Transcription:
    return transcribe(
        path,
        options or TranscribeOptions(),
        engine or MemoryEngine(),
        limits=DecodeLimits(),
        on_progress=on_progress,
        should_stop=should_stop,
        on_peaks=on_peaks,
    )


def wav(path: Path, seconds: float, *, channels: int = 1) -> Path:
    path.write_bytes(corpus.wav_tone(seconds, channels=channels))
    return path


def test_a_file_becomes_sentences(tmp_path: Path) -> None:
    peaks: list[PeakCollector] = []
    engine, reports = MemoryEngine(), list[Progress]()
    options = TranscribeOptions(hotwords=("达摩院", "GPU"))
    result = run(
        wav(tmp_path / "x.wav", 25), engine, options=options, on_progress=reports.append, on_peaks=peaks.append
    )
    assert result.outcome == "text"
    assert result.audio_ms == 25_000
    assert result.speech_ms == 25_000
    assert result.model.name == "memory"
    assert result.warnings == ()
    assert result.text.startswith("今天会议讨论三件事情，第一是预算1234元。第二是时间2025年3月15日。")
    assert result.sentences[0].confidence == pytest.approx(0.9)
    assert result.sentences[-1].text.endswith("。")
    assert result.sentences[-1].end_ms == 99 * 250 + 200
    assert engine.recordings[0].options.hotwords == ("达摩院", "GPU")
    assert engine.recordings[0].closed
    assert len(peaks[0].result()) == 250
    assert (reports[-1].done_ms, reports[-1].decoded_ms, reports[-1].total_ms) == (25_000, 25_000, 25_000)
    assert reports[-1].latest_text
    assert [r.done_ms for r in reports] == sorted(r.done_ms for r in reports)


def test_without_itn(tmp_path: Path) -> None:
    result = run(wav(tmp_path / "x.wav", 12), options=TranscribeOptions(itn=False))
    assert "一千二百三十四元" in result.text


def test_silence_and_applause_are_states_of_their_own(tmp_path: Path) -> None:
    silent = tmp_path / "silent.wav"
    silent.write_bytes(corpus.wav_bytes(bytes(32_000 * 5)))
    result = run(silent)
    assert (result.outcome, result.speech_ms, result.text, result.audio_ms) == ("no_speech", 0, "", 5_000)
    result = run(wav(tmp_path / "applause.wav", 5), MemoryEngine(deaf=True))
    assert (result.outcome, result.speech_ms, result.text) == ("not_recognised", 5_000, "")


def call(path: Path) -> Path:
    """Left speaks for ten seconds, then right, then both."""
    silence, speech = [0] * 160_000, list(corpus.tone(10, 16_000, 1))
    left, right = speech + silence + speech, silence + speech + speech
    both = array.array("h", [s for pair in zip(left, right, strict=True) for s in pair])
    path.write_bytes(corpus.wav_bytes(both.tobytes(), channels=2))
    return path


def test_the_two_sides_of_a_call(tmp_path: Path) -> None:
    engine = MemoryEngine()
    result = run(call(tmp_path / "call.wav"), engine, options=TranscribeOptions(channels="split"))
    assert len(engine.recordings) == 2
    assert {s.channel for s in result.sentences} == {0, 1}
    assert [s.begin_ms for s in result.sentences] == sorted(s.begin_ms for s in result.sentences)
    assert result.sentences[0].channel == 0
    assert all(s.channel == 1 for s in result.sentences if 10_000 <= s.begin_ms < 20_000)
    assert result.speech_ms == 40_000
    turns = [
        (a.paragraph != b.paragraph)
        for a, b in zip(result.sentences, result.sentences[1:], strict=False)
        if a.channel != b.channel
    ]
    assert turns
    assert all(turns)
    assert all(r.closed for r in engine.recordings)


@pytest.mark.parametrize(("channels", "mode"), [(1, "split"), (2, "mix")])
def test_one_stream_otherwise(tmp_path: Path, channels: int, mode: ChannelMode) -> None:
    engine = MemoryEngine()
    result = run(wav(tmp_path / "x.wav", 3, channels=channels), engine, options=TranscribeOptions(channels=mode))
    assert len(engine.recordings) == 1
    assert all(s.channel is None for s in result.sentences)
    assert result.warnings == ((CHANNELS_NOT_SPLIT,) if mode == "split" else ())


def test_truncated_media_is_a_warning(tmp_path: Path) -> None:
    path = wav(tmp_path / "x.wav", 10)
    path.write_bytes(path.read_bytes()[:200_000])
    result = run(path)
    assert result.outcome == "text"
    assert result.warnings == (TRUNCATED_MEDIA,)
    assert 6_000 < result.audio_ms < 6_300


def test_media_errors_come_through_and_close_everything(tmp_path: Path) -> None:
    path = tmp_path / "text.mp3"
    path.write_text("不是录音" * 100)
    with pytest.raises(MediaError) as caught:
        run(path)
    assert caught.value.code == "MEDIA_NOT_AUDIO"


def test_engine_errors_come_through(tmp_path: Path) -> None:
    def fail(recording: MemoryRecording) -> None:
        raise EngineUnavailable(detail="gone")

    engine = MemoryEngine(on_push=fail)
    with pytest.raises(EngineUnavailable):
        run(wav(tmp_path / "x.wav", 3), engine)
    assert engine.recordings[0].closed
    with pytest.raises(EngineUnavailable):
        transcribe(
            tmp_path / "x.wav",
            TranscribeOptions(),
            EngineClient(tmp_path / "no.sock"),
            limits=DecodeLimits(),
            on_progress=lambda progress: None,
            should_stop=lambda: False,
        )


def test_stopping_while_the_engine_keeps_us_waiting(tmp_path: Path) -> None:
    release = threading.Event()

    def wait(recording: MemoryRecording) -> None:
        while not recording.closed and not release.wait(0.05):
            pass

    engine, asked = MemoryEngine(on_push=wait), [time.monotonic()]

    def stop() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 4

    with pytest.raises(Cancelled):
        run(wav(tmp_path / "x.wav", 60), engine, should_stop=stop)
    release.set()
    assert max(b - a for a, b in itertools.pairwise(asked)) < 3
    assert engine.recordings[0].closed
    assert not [t for t in threading.enumerate() if t.name == "transcribe"]


def test_a_callback_that_fails_ends_the_work(tmp_path: Path) -> None:
    engine = MemoryEngine(on_push=lambda recording: time.sleep(0.2))

    def broken(progress: Progress) -> None:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError, match="away"):
        run(wav(tmp_path / "x.wav", 60), engine, on_progress=broken)
    assert engine.recordings[0].closed


def test_the_real_client_fits(tmp_path: Path) -> None:
    engine: EngineLike = EngineClient(tmp_path / "x.sock")
    assert engine is not None


MEMORY = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.asr.pipeline.test_pipeline import run
result = run(Path({path!r}))
# not ru_maxrss: that is inherited from whoever started this process
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(result.audio_ms, len(result.sentences), peak)
print(sorted(set(sys.modules) & {{"torch", "funasr", "flask", "sqlalchemy"}}))
"""


def test_memory_is_bounded_by_text_not_sound(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    second = corpus.tone(1, 16_000, 1).tobytes()
    path.write_bytes(corpus.wav_bytes(second * 900))
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY.format(root=root, path=str(path))], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    first, modules = done.stdout.splitlines()
    audio_ms, sentences, kilobytes = map(int, first.split())
    assert audio_ms == 900_000
    assert sentences > 900 * 4 / len(TEXT)
    assert kilobytes < 250_000
    assert modules == "[]"


def test_the_table_of_wrong_spellings_speaks_last(tmp_path: Path) -> None:
    table = (Replacement("7", "三件事情", "三件大事"), Replacement("8", "一千二百三十四元", "1,234 元"))
    result = run(wav(tmp_path / "x.wav", 12), options=TranscribeOptions(replacements=table))
    assert result.text.startswith("今天会议讨论三件大事，第一是预算1,234 元。")
    assert [s.replacement for sentence in result.sentences for s in sentence.substitutions] == ["7", "8", "7"]
    first = result.sentences[0].substitutions[0]
    assert (first.heard, first.begin_ms, first.end_ms) == ("三件事情", 1_500, 2_450)
