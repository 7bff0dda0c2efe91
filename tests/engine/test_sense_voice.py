"""SenseVoice-Small from a published directory with weights trained here: text, tags, times, equality with FunASR."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from portal.asr.engine.backend import BatchOptions
from portal.asr.engine.inference.building import FamilyLimits, open_family
from portal.asr.engine.inference.families.sense_voice import SenseVoice, _Run
from portal.asr.engine.layouts import SENSE_VOICE_PIECES
from portal.asr.engine.manifest import Registry, inspect
from portal.asr.engine.rich_tags import TAG, Tags
from portal.asr.errors import ModelError
from tests.engine import tiny_sense_voice as tiny
from tests.engine.families_support import flat, flat_result, frames_of, generate, reference
from tests.engine.support import engine, recognise, wait_ready

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny.make(tmp_path_factory.mktemp("sense_voice") / "SenseVoiceSmall")


@pytest.fixture(scope="module")
def model(folder: Path) -> SenseVoice:
    found = open_family(folder, inspect(folder)[1].family, "cpu", FamilyLimits())
    assert isinstance(found, SenseVoice)
    return found


@pytest.fixture(scope="module")
def funasr(folder: Path) -> Any:
    return reference(folder, ("funasr.models.sense_voice.model", "funasr.tokenizer.sentencepiece_tokenizer"))


def said(numbers: list[int], style: str = "withitn") -> str:
    """What should be written for tones."""
    pieces = [tiny.SOUNDS[number] for number in numbers]
    return flat("".join(piece for piece in pieces if style == "withitn" or piece not in tiny.MARKS).replace("▁", " "))


def sentence(dice: random.Random) -> list[int]:
    """Tones at random, a mark after some words and never two in a row: several marks would be written as one."""
    numbers: list[int] = []
    for _ in range(dice.randint(1, 14)):
        numbers.append(dice.choice([0, 1, 2, 3, 6, 7, 8]))
        numbers += dice.choice([[], [], [4], [5]])
    return numbers


UTTERANCES = [[0, 1, 4, 2, 3, 5], [6, 7, 4, 0, 1], [8, 9, 8, 5], [2, 3, 2, 3, 2, 3, 2, 3, 0, 5], [7]]


def test_words_marks_and_tags_of_known_recordings(model: SenseVoice) -> None:
    [first, second, third, *_] = model.recognise([frames_of(tiny.sound(u, 70)) for u in UTTERANCES], BatchOptions())
    assert first is not None
    assert second is not None
    assert third is not None
    assert ([w.text for w in first.words], first.marks) == (["你", "好", "世", "界"], ("", "，", "", "。"))
    assert ([w.text for w in second.words], second.marks) == (["hello", "world", "你", "好"], ("", "，", "", ""))
    assert ([w.text for w in third.words], third.marks) == (["3.3"], ("。",))
    assert (first.language, first.emotion, first.events) == ("zh", "happy", ("bgm",))
    for result in (first, second, third):
        assert not any(sign in word.text for word in result.words for sign in "<|>▁")


def test_the_asked_language_and_style_reach_the_model(model: SenseVoice) -> None:
    frames = [frames_of(tiny.sound(UTTERANCES[0], 71))]
    for language in model.languages:
        [result] = model.recognise(frames, BatchOptions(language=language))
        assert result is not None
        assert result.language == language
    for strange in ("nospeech", "auto", "../zh", "<|ja|>", ""):
        [result] = model.recognise(frames, BatchOptions(language=strange))
        assert result is not None
        assert result.language == "zh"
    [bare] = model.recognise(frames, BatchOptions(itn=False))
    assert bare is not None
    assert bare.marks is None
    assert flat_result(bare) == said(UTTERANCES[0], "woitn")


@pytest.mark.parametrize("options", [BatchOptions(), BatchOptions(itn=False, language="ja")])
def test_text_and_times_equal_funasr_alone(model: SenseVoice, funasr: Any, options: BatchOptions) -> None:
    dice = random.Random(5)
    utterances = [*UTTERANCES, *(sentence(dice) for _ in range(6))]
    sounds = [tiny.sound(numbers, 80 + seed) for seed, numbers in enumerate(utterances)]
    sounds.append(np.random.default_rng(3).normal(0, 3_000, 20_000).astype("<i2"))
    results = model.recognise([frames_of(samples) for samples in sounds], options)
    known = 0
    for samples, result in zip(sounds, results, strict=True):
        assert result is not None
        expected = generate(
            funasr, samples, language=options.language, use_itn=options.itn, output_timestamp=True, batch_size=1
        )
        assert flat_result(result) == flat(expected["text"])
        assert Tags.of(TAG.findall(expected["text"])) == Tags(result.language, result.emotion, result.events)
        # FunASR times marks as well and puts Western words together in its own way: Chinese compares one to one
        pairs = zip(expected.get("words", ()), expected.get("timestamp", ()), strict=True)
        theirs = [(word, *times) for word, times in pairs if word in "你好世界"]
        ours = [(word.text, word.begin_ms, word.end_ms) for word in result.words if word.text in "你好世界"]
        assert [word for word, *_ in ours] == [word for word, *_ in theirs]
        # FunASR computes in seconds and cuts off: 2.01 s is 2009 ms there
        assert [times for _, *times in ours] == [pytest.approx(times, abs=1) for _, *times in theirs]
        known += len(ours)
    assert known > 20
    assert flat_result(results[0]) == said(utterances[0], "withitn" if options.itn else "woitn")


def test_results_do_not_depend_on_batch_mates(model: SenseVoice) -> None:
    frames = [frames_of(tiny.sound(numbers, 90)) for numbers in UTTERANCES]
    together = model.recognise(frames, BatchOptions())
    for index, alone in enumerate(frames):
        [result] = model.recognise([alone], BatchOptions())
        mixed = together[index]
        assert result is not None
        assert mixed is not None
        assert [(w.text, w.begin_ms, w.end_ms) for w in result.words] == [
            (w.text, w.begin_ms, w.end_ms) for w in mixed.words
        ]
        assert result.marks == mixed.marks


def test_nothing_one_frame_and_not_a_number(model: SenseVoice) -> None:
    good = frames_of(tiny.sound(UTTERANCES[0], 91))
    empty = np.zeros((0, 80), dtype=np.float32)
    results = model.recognise([empty, good[:1], np.full_like(good, np.nan), good], BatchOptions())
    assert results[0] is not None
    assert results[0].words == ()
    assert results[1] is not None
    assert results[2] is None
    assert flat_result(results[3]) == said(UTTERANCES[0])
    assert model.recognise([], BatchOptions()) == []
    assert model.recognise([empty], BatchOptions())[0] is not None


def test_tags_anywhere_are_fields_and_unknown_ones_are_dropped(model: SenseVoice) -> None:
    number = model._pieces.piece_to_id
    pieces = ["<|en|>", "<|NEUTRAL|>", "<|BGM|>", "<|withitn|>", "▁hello", "<|BGM|>", "<|SAD|>", "<|nospeech|>", "。"]
    runs = [_Run(number(piece), index, index + 1, 0.9) for index, piece in enumerate(pieces)]
    runs.insert(5, _Run(0, 90, 91, 0.9))
    result = model._write(runs, 100, written=True)
    assert ([word.text for word in result.words], result.marks) == (["hello"], ("。",))
    assert (result.language, result.emotion, result.events) == ("en", "neutral", ("bgm",))


def test_tags_are_read_by_name() -> None:
    assert Tags.of(["<|nospeech|>", "<|EMO_UNKNOWN|>", "<|Event_UNK|>", "<|GBG|>"]) == Tags()
    assert Tags.of(
        ["<|yue|>", "<|zh|>", "<|ANGRY|>", "<|Laughter|>", "<|Speech|>", "<|Cough|>", "<|Laughter|>"]
    ) == Tags("yue", "angry", ("laughter", "cough"))


def test_a_damaged_vocabulary_or_checkpoint_is_named(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / SENSE_VOICE_PIECES).write_bytes(b"\x00nothing")
    with pytest.raises(ModelError) as pieces:
        SenseVoice.open(broken, "cpu")
    assert (pieces.value.code, pieces.value.params["file"]) == ("MODEL_ALTERED", SENSE_VOICE_PIECES)
    shutil.copy(folder / SENSE_VOICE_PIECES, broken)
    state = torch.load(folder / "model.pt", weights_only=True)
    state.pop("ctc.ctc_lo.bias")
    torch.save(state, broken / "model.pt")
    with pytest.raises(ModelError) as weights:
        SenseVoice.open(broken, "cpu")
    assert weights.value.code == "MODEL_ALTERED"
    assert "ctc.ctc_lo.bias" in weights.value.detail


def test_the_engine_serves_it_with_its_own_punctuation(
    folder: Path, models: Path, tmp_path: Path, speech: bytes
) -> None:
    registry = tmp_path / "installed.json"
    arguments = ["--threads", "1", "--installed", str(registry)]
    for path, option in ((folder, "--asr"), (models / "vad", "--vad"), (models / "punc", "--punc")):
        directory, manifest = inspect(path)
        Registry(registry).record(directory, manifest, "2026-01-01T00:00:00+00:00")
        arguments += [option, str(path)]
    with engine("server", tmp_path, arguments) as running:
        wait_ready(running, 120)
        status = running.client.status()
        assert status.model.family == "SenseVoiceSmall"
        assert {"own_punctuation", "language_choice", "emotion", "events", "word_times"} <= status.capabilities
        assert "hotwords" not in status.capabilities
        assert status.languages == ("zh", "en", "yue", "ja", "ko")
        segments = recognise(running.client, speech)
        assert segments
        assert all(segment.language == "zh" for segment in segments if segment.words)
        assert all(segment.marks is not None and len(segment.marks) == len(segment.words) for segment in segments)
