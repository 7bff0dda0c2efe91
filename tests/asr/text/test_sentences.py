"""Punctuation over a moving window, sentences with times, paragraphs by pauses."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.errors import ProtocolError
from portal.asr.punctuation import CARRY_WORDS, END_MARKS, WINDOW_WORDS, Punctuator, by_pauses, with_silence
from portal.asr.segmentation import WordStream
from portal.asr.sentences import (
    MAX_SENTENCE_CHARACTERS,
    MAX_SENTENCE_MS,
    SentenceBuilder,
    join,
    paragraphed,
    render,
)
from portal.asr.types import ModelInfo, Segment, Sentence, Transcription, Word


def words_of(text: str, *, begin: int = 0, step: int = 250, length: int = 200) -> list[Word]:
    return [Word(c, begin + i * step, begin + i * step + length, 0.5) for i, c in enumerate(text)]


def nothing(words: Sequence[str]) -> list[str]:
    return ["" for _ in words]


def every(count: int, mark: str = "。") -> Punctuator:
    """A punctuator whose engine sets ``mark`` by what the word says, so that windows can't shift it."""

    def ask(words: Sequence[str]) -> list[str]:
        assert len(words) <= WINDOW_WORDS
        return [mark if word.endswith("了") else "" for word in words[:-1]] + ["。"]

    return Punctuator(ask)


def test_marks_do_not_depend_on_where_windows_fall() -> None:
    text = ("今天我们讨论项目的进展和问题了" * 60)[:803]
    words = words_of(text)
    punctuator, marked = every(0), []
    for start in range(0, len(words), 37):
        marked += punctuator.push(words[start : start + 37])
    marked += punctuator.finish()
    assert [w for w, _ in marked] == words
    assert all(mark == ("。" if word.text == "了" else "") for word, mark in marked[:-1])
    assert marked[-1][1] == "。"
    assert punctuator.finish() == []


def test_a_sentence_may_run_over_a_segment_but_the_end_closes_it() -> None:
    first, second = words_of("今天天气"), words_of("很好", begin=1_900)
    punctuator = Punctuator(nothing)
    marked = [*punctuator.push(first), *punctuator.push(second), *punctuator.finish()]
    assert [mark for _, mark in marked] == ["", "", "", "", "", "。"]


@pytest.mark.parametrize(
    ("pause", "before", "after"),
    [
        (1_400, "，", "，"),
        (1_600, "，", "。"),
        (1_600, "、", "。"),
        (1_600, "", ""),
        (1_600, "？", "？"),
        (3_100, "", "。"),
        (3_100, "！", "！"),
    ],
)
def test_silence_has_its_say(pause: int, before: str, after: str) -> None:
    words = [Word("好", 0, 100), Word("吧", 100 + pause, 300 + pause)]
    assert with_silence(words, [before, "。"]) == [after, "。"]


def test_a_long_silence_closes_the_window() -> None:
    punctuator = Punctuator(nothing)
    assert punctuator.push(words_of("你好")) == []
    settled = punctuator.push(words_of("再见", begin=20_000))
    assert [(w.text, m) for w, m in settled] == [("你", ""), ("好", "。")]


def test_without_a_punctuation_model_pauses_punctuate() -> None:
    words = [
        Word("字", i * 300 + (i // 10) * 500 + (i // 20) * 600, i * 300 + 250 + (i // 10) * 500 + (i // 20) * 600)
        for i in range(40)
    ]
    marks = by_pauses(words)
    assert (marks[9], marks[19], marks[0]) == ("，", "。", "")
    punctuator = Punctuator(nothing)
    assert [m for _, m in [*punctuator.push(words), *punctuator.finish()]][19] == "。"


def test_a_window_without_any_mark_is_still_bounded() -> None:
    asked: list[int] = []

    def ask(words: Sequence[str]) -> list[str]:
        asked.append(len(words))
        return [""] * len(words)

    punctuator = Punctuator(ask)
    words = words_of("字" * 3_000)
    marked = [*punctuator.push(words), *punctuator.finish()]
    assert [w for w, _ in marked] == words
    assert max(asked) <= WINDOW_WORDS
    assert len(asked) < 3_000 / (WINDOW_WORDS // 2 - CARRY_WORDS)


def test_an_engine_that_answers_for_other_words_is_refused() -> None:
    punctuator = Punctuator(lambda words: [""])
    punctuator.push(words_of("你好"))
    with pytest.raises(ProtocolError):
        punctuator.finish()


def test_word_stream_repairs_times() -> None:
    stream = WordStream()
    words = stream.push(
        [
            Segment(1_000, 2_000, (Word("早", 900, 1_200), Word("于", 1_100, 1_050), Word(" ", 1_200, 1_300))),
            Segment(2_000, 3_000, (Word("界", 1_900, 3_500),)),
        ]
    )
    assert [(w.text, w.begin_ms, w.end_ms) for w in words] == [
        ("早", 1_000, 1_200),
        ("于", 1_100, 1_100),
        ("界", 2_000, 3_000),
    ]


def test_sentence_carries_itn_times_and_confidence() -> None:
    builder = SentenceBuilder(channel=1)
    words = words_of("共一千二百元")
    [sentence] = builder.push(zip(words, ["", "", "", "", "", "。"], strict=True))
    assert sentence.text == "共1200元。"
    assert (sentence.begin_ms, sentence.end_ms, sentence.channel) == (0, 5 * 250 + 200, 1)
    assert sentence.confidence == pytest.approx(0.5)
    assert [w.text for w in sentence.words] == ["共", "1200", "元"]
    [raw] = SentenceBuilder(itn=False).push(zip(words, ["", "", "", "", "", "。"], strict=True))
    assert raw.text == "共一千二百元。"


@pytest.mark.parametrize(
    ("words", "marks", "text"),
    [
        (["hello", "world", "again"], ["，", "", "。"], "hello, world again."),
        (["我", "们", "用", "Paraformer", "模", "型"], ["", "", "", "", "", "。"], "我们用Paraformer模型。"),
        (["用", "open", "source", "吧"], ["", "", "", "？"], "用open source吧？"),
        (["第", "1", "2", "个"], ["", "", "", ""], "第1 2个"),
        (["123"], ["。"], "123。"),
    ],
)
def test_spacing(words: list[str], marks: list[str], text: str) -> None:
    assert render([Word(w, 0, 0) for w in words], marks) == text


def test_join() -> None:
    assert join("Yes.", "No.") == "Yes. No."
    assert join("好。", "No.") == "好。No."
    assert join("GPU", "好") == "GPU好"
    assert join("", "a") == "a"
    assert join("안녕하세요", "여러분") == "안녕하세요 여러분"
    assert join("デー", "タ") == "データ"
    assert join("café", "au") == "café au"


def test_run_ons_are_split_at_commas() -> None:
    words = words_of("字" * 300)
    marks = ["，" if i % 25 == 24 else "" for i in range(299)] + ["。"]
    sentences = SentenceBuilder().push(zip(words, marks, strict=True))
    assert len(sentences) == 3
    assert all(s.text[-1] in "，。" for s in sentences)
    assert "".join(s.text for s in sentences).count("字") == 300


mark = st.sampled_from(["", "", "", "", "，", "。", "？", "、"])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("我们一二十百年好"), mark, st.integers(0, 9_000)), min_size=1, max_size=400),
    st.booleans(),
)
def test_no_word_is_lost_on_the_way(rows: list[tuple[str, str, int]], itn: bool) -> None:
    begin, words = 0, []
    for text, _, pause in rows:
        begin += pause // (1 if pause > 8_500 else 100)
        words.append(Word(text, begin, begin + 100, 0.9))
        begin += 100
    builder = SentenceBuilder(itn=itn)
    sentences = [*builder.push(zip(words, [m for _, m, _ in rows], strict=True)), *builder.finish()]
    for word in words:
        assert any(s.begin_ms <= word.begin_ms and word.end_ms <= s.end_ms for s in sentences)
    assert all(a.end_ms <= b.begin_ms for a, b in itertools.pairwise(sentences))
    for sentence in sentences:
        assert sentence.end_ms - sentence.begin_ms <= MAX_SENTENCE_MS
        assert len(sentence.words) <= MAX_SENTENCE_CHARACTERS
        assert not any(c in END_MARKS for c in sentence.text[:-1])
    if not itn:
        assert [w for s in sentences for w in s.words] == words


@pytest.mark.parametrize("word", [Word("a" * 200, 0, 500), Word("啊", 0, 61_000)])
def test_one_word_beyond_every_limit_is_a_sentence(word: Word) -> None:
    builder = SentenceBuilder()
    assert [s.words for s in builder.push([(word, "。")])] == [(word,)]


def sentence(begin: int, end: int, text: str = "好。", channel: int | None = None) -> Sentence:
    return Sentence(text, begin, end, (), channel=channel)


def test_paragraphs_by_pause_turn_and_length() -> None:
    out = paragraphed([sentence(0, 1_000), sentence(2_900, 3_500), sentence(5_600, 6_000)])
    assert [s.paragraph for s in out] == [0, 0, 1]
    call = paragraphed(
        [sentence(900, 1_500, channel=1), sentence(0, 1_000, channel=0), sentence(1_600, 2_000, channel=1)]
    )
    assert [(s.channel, s.paragraph) for s in call] == [(0, 0), (1, 1), (1, 1)]
    monologue = paragraphed([sentence(i * 10_000, i * 10_000 + 9_300, "字" * 100) for i in range(12)])
    assert monologue[-1].paragraph == 2
    assert paragraphed([]) == ()


def test_western_sentences_do_not_touch_in_the_whole_text() -> None:
    model = ModelInfo("m", "f", "d", "cpu")
    parts = [sentence(0, 1, "Yes."), sentence(1, 2, "No."), sentence(2, 3, "好。"), sentence(3, 4, "OK.")]
    assert Transcription(tuple(parts), 4, 4, model, "text").text == "Yes. No.好。OK."
