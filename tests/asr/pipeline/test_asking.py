"""What a person chose meets what the model can do: options on their way, marks and tags on their way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from portal.asr.asking import ask
from portal.asr.engine.contract import RecordingOptions
from portal.asr.errors import EngineUnavailable, ProtocolError
from portal.asr.opening import open_recordings
from portal.asr.segmentation import WordStream
from portal.asr.tags import Tags
from portal.asr.types import ModelInfo, Segment, Sentence, SpeechSpan, TranscribeOptions, VadOptions, Word
from portal.asr.vad_presets import PRESETS, OutOfLimits, within_limits
from tests.asr.pipeline.engine import MemoryEngine, MemoryRecording, MemoryStatus
from tests.asr.pipeline.test_pipeline import call, run, wav

ALL = frozenset({"hotwords", "word_times", "punctuation", "language_choice", "speakers"})
WISHES = TranscribeOptions(
    hotwords=("达摩院",), vad=VadOptions(20_000, 450, 0.6), language="yue", speakers=True, speaker_count=2
)


def test_everything_travels_to_a_model_that_can() -> None:
    asked = ask(WISHES, ALL, ("zh", "yue"), split=False)
    assert asked.recording == RecordingOptions(
        hotwords=("达摩院",), max_segment_ms=20_000, end_silence_ms=450, speech_threshold=0.6, language="yue",
        speakers=True, speaker_count=2,
    )  # fmt: skip
    assert (asked.timed, asked.itn, asked.warnings) == (True, True, ())


def test_what_the_model_cannot_do_is_left_out_and_said() -> None:
    asked = ask(WISHES, {"punctuation", "model_itn"}, (), split=False)
    assert (asked.recording.hotwords, asked.recording.language, asked.recording.speakers) == ((), "auto", False)
    assert asked.recording.speaker_count is None
    assert not asked.recording.want_words
    assert asked.warnings == ("HOTWORDS_NOT_USED", "LANGUAGE_NOT_OFFERED", "SPEAKERS_NOT_OFFERED")
    assert (asked.timed, asked.itn) == (False, False)
    assert ask(replace(WISHES, language="ja"), ALL, ("zh",), split=False).warnings == ("LANGUAGE_NOT_OFFERED",)


def test_nothing_asked_for_is_nothing_missed() -> None:
    assert ask(TranscribeOptions(), {"punctuation"}, (), split=False).warnings == ()
    assert ask(replace(WISHES, spans_only=True), {"punctuation"}, (), split=False).warnings == ()
    sides = ask(WISHES, ALL, ("yue",), split=True)
    assert not sides.recording.speakers
    assert sides.warnings == ()


def test_presets_and_limits() -> None:
    assert [PRESETS[name].max_segment_ms for name in ("general", "telephone", "lecture")] == [30_000, 20_000, 60_000]
    assert PRESETS["live"].end_silence_ms == 300
    for options in PRESETS.values():
        assert within_limits(options) == options
    wrong = [VadOptions(length) for length in (4_999, 60_001)]
    wrong += [VadOptions(end_silence_ms=silence) for silence in (199, 3_001)]
    wrong += [VadOptions(threshold=value) for value in (0.09, 0.91, float("nan"))]
    for options in wrong:
        with pytest.raises(OutOfLimits):
            within_limits(options)


def test_only_spans(tmp_path: Path) -> None:
    engine = MemoryEngine()
    options = TranscribeOptions(spans_only=True, channels="split", hotwords=("达摩院",), vad=PRESETS["lecture"])
    result = run(call(tmp_path / "call.wav"), engine, options=options)
    assert result.outcome == "spans"
    assert result.sentences == ()
    assert result.spans == (
        SpeechSpan(0, 10_000, 0), SpeechSpan(10_000, 20_000, 1), SpeechSpan(20_000, 30_000, 0),
        SpeechSpan(20_000, 30_000, 1),
    )  # fmt: skip
    assert engine.punctuated == 0
    sent = engine.recordings[0].options
    assert (sent.vad_only, sent.hotwords, sent.max_segment_ms) == (True, (), 60_000)


def test_spans_of_silence_are_no_speech(tmp_path: Path) -> None:
    from tests.asr.audio import corpus

    silent = tmp_path / "silent.wav"
    silent.write_bytes(corpus.wav_bytes(bytes(32_000 * 5)))
    result = run(silent, options=TranscribeOptions(spans_only=True))
    assert (result.outcome, result.spans) == ("no_speech", ())


def marked(segment: Segment) -> Segment:
    """As a model that punctuates itself answers: every tenth word a comma, the last a Western full stop."""
    marks = ["," if i % 10 == 9 else "" for i in range(len(segment.words))]
    marks[-1] = "."
    events = ("applause",) if segment.begin_ms else ()
    emotion = "happy" if segment.begin_ms else None
    return replace(segment, marks=tuple(marks), language="zh", emotion=emotion, events=events)


def test_own_marks_are_used_and_nobody_is_asked_for_others(tmp_path: Path) -> None:
    engine = MemoryEngine(dress=marked, notices={"OOM_CPU": 2})
    result = run(wav(tmp_path / "x.wav", 20), engine, options=TranscribeOptions(itn=False))
    assert engine.punctuated == 0
    assert [s.text.count("，") for s in result.sentences] == [3, 3]  # the fortieth word's comma gave way to the stop
    assert all(s.text.endswith("。") for s in result.sentences)
    assert [(s.language, s.emotion, s.events) for s in result.sentences] == [
        ("zh", None, ()), ("zh", "happy", ("applause",)),
    ]  # fmt: skip
    assert result.warnings == ("OOM_CPU:2",)


def test_a_model_may_punctuate_some_segments_only(tmp_path: Path) -> None:
    def some(segment: Segment) -> Segment:
        return marked(segment) if segment.begin_ms == 10_000 else segment

    result = run(wav(tmp_path / "x.wav", 30), MemoryEngine(dress=some), options=TranscribeOptions(itn=False))
    begins = [s.begin_ms for s in result.sentences]
    assert begins == sorted(begins)
    assert "".join(w.text for s in result.sentences for w in s.words) == "".join(
        w.text for s in run(tmp_path / "x.wav", options=TranscribeOptions(itn=False)).sentences for w in s.words
    )


def test_marks_of_another_number_are_a_broken_engine() -> None:
    segment = Segment(0, 1_000, (Word("好", 0, 500),), marks=("。", "。"))
    with pytest.raises(ProtocolError):
        WordStream().take(segment)


def test_a_long_silence_ends_a_sentence_that_a_model_left_open(tmp_path: Path) -> None:
    def open_end(segment: Segment) -> Segment:
        keep = segment.words[:4] if segment.begin_ms == 0 else segment.words
        return replace(segment, words=keep, marks=("",) * len(keep))

    result = run(wav(tmp_path / "x.wav", 20), MemoryEngine(dress=open_end), options=TranscribeOptions(itn=False))
    assert [s.begin_ms for s in result.sentences][:2] == [0, 10_000]


def test_voices(tmp_path: Path) -> None:
    engine = MemoryEngine(capabilities=ALL)
    result = run(wav(tmp_path / "x.wav", 30), engine, options=TranscribeOptions(speakers=True, speaker_count=2))
    assert engine.recordings[0].options.speaker_count == 2
    assert {s.speaker for s in result.sentences} == {"1", "2"}
    turns = [(a, b) for a, b in zip(result.sentences, result.sentences[1:], strict=False) if a.speaker != b.speaker]
    assert turns
    assert all(a.paragraph != b.paragraph for a, b in turns)
    assert run(tmp_path / "x.wav").sentences[0].speaker is None


@pytest.mark.parametrize(
    ("capabilities", "options"),
    [
        (frozenset({"punctuation"}), TranscribeOptions(itn=False)),
        (ALL, TranscribeOptions(itn=False, word_times=False)),
    ],
)
def test_words_without_times_are_spread_over_their_segment(
    tmp_path: Path, capabilities: frozenset[str], options: TranscribeOptions
) -> None:
    def timeless(segment: Segment) -> Segment:
        return replace(segment, words=tuple(Word(w.text, segment.begin_ms, segment.end_ms, 0.9) for w in segment.words))

    engine = MemoryEngine(dress=timeless, capabilities=capabilities)
    result = run(wav(tmp_path / "x.wav", 20), engine, options=options)
    assert not engine.recordings[0].options.want_words
    assert not any(s.timed for s in result.sentences)
    begins = [s.begin_ms for s in result.sentences]
    assert begins == sorted(set(begins))
    assert all(a.end_ms <= b.begin_ms for a, b in zip(result.sentences, result.sentences[1:], strict=False))


def test_a_sentence_takes_the_tags_it_shares_most_time_with() -> None:
    tags = Tags()
    tags.add(Segment(0, 4_000, (), language="zh", emotion="sad", events=("bgm",)))
    tags.add(Segment(5_000, 9_000, (), language="en", emotion="happy", events=("laughter", "bgm")))
    tags.add(Segment(20_000, 21_000, (), emotion="angry"))
    over = tags.of(Sentence("x", 3_000, 8_000, ()))
    assert (over.language, over.emotion, over.events) == ("en", "happy", ("bgm", "laughter"))
    assert tags.of(Sentence("x", 20_500, 20_500, ())).emotion == "angry"
    assert tags.of(Sentence("x", 10_000, 11_000, ())).emotion is None
    assert Tags().of(over) == over


@dataclass
class Changing(MemoryEngine):
    """Exchanges its models at each question until ``rests_after`` questions were asked."""

    rests_after: int = 1
    questions: int = 0

    def status(self) -> MemoryStatus:
        self.questions += 1
        told = super().status()
        if self.questions <= self.rests_after:
            return replace(told, model=replace(self.model, digest="1" * 64))
        return told


def test_a_model_exchanged_while_opening_is_asked_again() -> None:
    engine = Changing()
    asked, recordings = open_recordings(engine, WISHES, split=True)
    assert len(recordings) == 2
    assert engine.questions == 2
    assert [r.closed for r in engine.recordings] == [True, True, False, False]
    assert asked.warnings == ("LANGUAGE_NOT_OFFERED",)


def test_an_engine_that_never_rests_is_not_used() -> None:
    engine = Changing(rests_after=9)
    with pytest.raises(EngineUnavailable):
        open_recordings(engine, WISHES, split=False)
    assert all(r.closed for r in engine.recordings)


def test_a_second_channel_that_is_refused_closes_the_first() -> None:
    engine = MemoryEngine()
    opened: Callable[..., MemoryRecording] = engine.open

    def once(*, options: RecordingOptions) -> MemoryRecording:
        if engine.recordings:
            raise EngineUnavailable
        return opened(options=options)

    engine.open = once  # type: ignore[method-assign]
    with pytest.raises(EngineUnavailable):
        open_recordings(engine, WISHES, split=True)
    assert [r.closed for r in engine.recordings] == [True]


def test_the_result_names_the_model_that_took_the_recording(tmp_path: Path) -> None:
    engine = MemoryEngine(model=ModelInfo("会议", "SeacoParaformer", "a" * 64, "cuda", profile="fast"))
    assert run(wav(tmp_path / "x.wav", 3), engine).model.profile == "fast"
