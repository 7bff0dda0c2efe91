"""Every format is read back by somebody else's reader and says the same."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from itertools import pairwise

import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.types import ModelInfo, Sentence, SpeechSpan, Transcription, Word
from portal.formats import (
    SPAN_HEADERS,
    cues_of,
    safe_cell,
    spans_csv,
    spans_json,
    spans_txt,
    to_csv,
    to_json,
    to_srt,
    to_txt,
    to_vtt,
)
from portal.formats.subtitles import LINE_CHARACTERS, width

SIDES = {0: "坐席", 1: "客户"}


def said(
    text: str, begin: int = 0, *, paragraph: int = 0, channel: int | None = None, speaker: str | None = None
) -> Sentence:
    """A sentence whose words are its characters (Western words whole), 250 ms each."""
    parts = re.findall(r"[A-Za-z0-9]+|[^\W，。]", text)
    words = tuple(Word(part, begin + i * 250, begin + i * 250 + 200, 0.9) for i, part in enumerate(parts))
    end = words[-1].end_ms if words else begin + 1_000
    return Sentence(text, begin, end, words, paragraph, speaker, channel, 0.9)


def transcription(*sentences: Sentence) -> Transcription:
    model = ModelInfo("demo", "SeacoParaformer", "ab" * 32, "cpu", True)
    return Transcription(sentences, 61_234, 50_000, model, "text" if sentences else "no_speech", ("TRUNCATED_MEDIA",))


def test_txt() -> None:
    sentences = [
        said("你好。"),
        said("Hello there.", 2_000),
        said("Bye.", 4_000),
        said("再见。", 3_723_000, paragraph=1),
    ]
    assert to_txt(sentences) == "你好。Hello there. Bye.\n\n再见。\n"
    assert to_txt(sentences, times=True).splitlines()[2] == "[01:02:03] 再见。"
    call = [said("喂。", channel=0), said("你好。", 900, paragraph=1, channel=1)]
    assert to_txt(call, channels=SIDES) == "坐席：喂。\n\n客户：你好。\n"
    assert to_txt([said("喂。", speaker="张三\x07")]) == "张三：喂。\n"
    assert to_txt([]) == ""


def test_json_is_the_contract() -> None:
    value = json.loads(to_json(transcription(said("你好。", 120, channel=1))))
    assert value["text"] == "你好。"
    assert value["audio_seconds"] == 61.234
    assert value["model"]["name"] == "demo"
    [sentence] = value["sentences"]
    assert {k: sentence[k] for k in ("text", "begin_ms", "end_ms", "speaker", "channel", "confidence")} == {
        "text": "你好。", "begin_ms": 120, "end_ms": 570, "speaker": None, "channel": 1, "confidence": 0.9,
    }  # fmt: skip
    assert sentence["words"][0] == {"text": "你", "begin_ms": 120, "end_ms": 320, "confidence": 0.9}
    empty = json.loads(to_json(transcription()))
    assert (empty["text"], empty["sentences"], empty["outcome"]) == ("", [], "no_speech")


def test_json_never_holds_nan() -> None:
    odd = Sentence("好", 0, 1, (Word("好", 0, 1, float("nan")),), confidence=float("inf"))
    value = json.loads(to_json(transcription(odd)))
    assert value["sentences"][0]["confidence"] is None
    assert value["sentences"][0]["words"][0]["confidence"] is None


def test_srt() -> None:
    text = to_srt([said("你好，世界。"), said("再见 --> <b>。", 3_723_004)])
    assert text.splitlines()[:4] == ["1", "00:00:00,000 --> 00:00:00,950", "你好，世界。", ""]
    assert "01:02:03,004 --> " in text
    assert text.count("-->") == 2
    assert to_srt([]) == ""


def test_vtt_is_escaped_and_readable() -> None:
    text = to_vtt([said("a < b & c --> d。"), said("好。", 5_000, channel=1)], channels=SIDES)
    assert text.startswith("WEBVTT\n\n")
    assert "a &lt; b &amp; c --&gt; d。" in text
    captions = webvtt.from_buffer(io.StringIO(text)).captions
    assert [c.start for c in captions] == ["00:00:00.000", "00:00:05.000"]
    assert captions[1].voice == "客户"


LONG = (
    "今天的会议主要讨论三件事情，第一件是明年的预算，第二件是人员的安排，"
    "第三件是新系统的上线时间和培训计划，请大家先看材料。"
)


def test_long_sentences_become_several_readable_cues() -> None:
    sentence = said(LONG, 1_000)
    cues = cues_of([sentence])
    assert "".join("".join(cue.lines) for cue in cues) == LONG
    assert len(cues) >= 2
    for cue in cues:
        assert len(cue.lines) <= 2
        assert all(width(line) <= LINE_CHARACTERS + 0.5 for line in cue.lines)
        assert cue.lines[0][0] not in "，。"
    assert cues[0].begin_ms == 1_000
    assert cues[-1].end_ms == sentence.end_ms
    assert all(a.end_ms <= b.begin_ms for a, b in pairwise(cues))
    assert cues[0].lines[-1][-1] == "，"


def test_edited_text_is_spread_over_the_sentence() -> None:
    sentence = Sentence("完全改过的文字" * 8, 0, 20_000, (Word("旧", 0, 200), Word("的", 200, 400)))
    cues = cues_of([sentence])
    assert "".join("".join(c.lines) for c in cues) == sentence.text
    assert (cues[0].begin_ms, cues[-1].end_ms) == (0, 20_000)
    assert all(c.end_ms - c.begin_ms <= 8_000 for c in cues)


def test_csv_opens_as_a_table() -> None:
    rows = list(
        csv.reader(
            io.StringIO(to_csv([said('他说"好"，\n对吧。', 1_500, channel=0)], channels=SIDES).removeprefix("\ufeff"))
        )
    )
    assert rows[0] == ["开始", "结束", "说话人", "声道", "文字", "置信度", "语言", "情绪", "声音"]
    assert rows[1] == ["00:00:01.500", "00:00:02.700", "坐席", "1", '他说"好"，\n对吧。', "0.900", "", "", ""]
    assert to_csv([]).encode().startswith(b"\xef\xbb\xbf")
    assert to_csv([]).endswith("\r\n")


def tagged() -> Sentence:
    """What a model with emotions and without word times says of a voice."""
    words = tuple(Word(ch, 0, 4_000, 0.9) for ch in "好的")
    return Sentence(
        "好的。", 0, 4_000, words, speaker="2", language="yue", emotion="happy", events=("bgm", "laughter"), timed=False
    )


def test_tags_and_missing_word_times_are_told_apart() -> None:
    (made,) = json.loads(
        to_json(Transcription((tagged(),), 4_000, 4_000, ModelInfo("m", "SenseVoiceSmall", "0" * 64, "cpu"), "text"))
    )["sentences"]
    assert (made["speaker"], made["language"], made["emotion"]) == ("2", "yue", "happy")
    assert made["events"] == ["bgm", "laughter"]
    assert made["words"][0] == {"text": "好", "begin_ms": None, "end_ms": None, "confidence": 0.9}
    row = list(csv.reader(io.StringIO(to_csv([tagged()], tag=lambda kind, code: f"{kind}:{code}"))))[1]
    assert row[6:] == ["language:yue", "emotion:happy", "event:bgm event:laughter"]
    assert to_srt([tagged()]) == "1\n00:00:00,000 --> 00:00:04,000\n2：好的。\n"


def test_subtitles_without_word_times_are_spread_evenly() -> None:
    words = tuple(Word("好", 0, 24_000, 0.9) for _ in range(60))
    cues = cues_of([Sentence("好" * 60 + "。", 0, 24_000, words, timed=False)])
    assert len(cues) >= 3
    assert cues[0].begin_ms == 0
    assert cues[-1].end_ms == 24_000
    assert all(a.end_ms <= b.begin_ms for a, b in pairwise(cues))


def test_spans_as_labels_table_and_json() -> None:
    spans = [SpeechSpan(500, 1_800, 0), SpeechSpan(3_661_000, 3_661_250, 1)]
    assert spans_txt(spans, channels={0: "坐席", 1: "=客户"}) == "0.500\t1.800\t1 坐席\n3661.000\t3661.250\t2 =客户\n"
    assert spans_txt([SpeechSpan(0, 1)]) == "0.000\t0.001\t1\n"
    rows = list(csv.reader(io.StringIO(spans_csv(spans, channels={1: "=客户"}).removeprefix("\ufeff"))))
    assert rows == [
        list(SPAN_HEADERS),
        ["1", "00:00:00.500", "00:00:01.800", "1.300", "1"],
        ["2", "01:01:01.000", "01:01:01.250", "0.250", "'=客户"],
    ]
    value = json.loads(spans_json(spans, audio_ms=4_000_000, speech_ms=1_550))
    assert (value["audio_seconds"], value["speech_seconds"], value["share"]) == (4_000.0, 1.55, 0.0004)
    assert value["spans"][1] == {"begin_ms": 3_661_000, "end_ms": 3_661_250, "channel": 1}
    assert json.loads(spans_json([], audio_ms=0, speech_ms=0))["share"] == 0.0


FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "＝1", "＋1", "－1", "＠a", " =1", "\u3000=1", "\t=1", "\r=1", "\n=1", "\x00=1",
    "\x07=1", "\u202e=1", "\t", "\xa0-1", "'=1", '"=1',
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_stay_text(text: str) -> None:
    cell = safe_cell(text)
    assert cell.startswith(("'", '"'))
    row = list(csv.reader(io.StringIO(to_csv([Sentence(text, 0, 1, ())]).removeprefix("\ufeff"))))[1]
    assert row[4] == cell


wild = st.text(st.one_of(st.characters(), st.sampled_from("=+-@＝＋－＠\t\r\n\0 <>&\"',\u202e\ud800-")), max_size=60)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(wild, st.integers(0, 10**7), st.integers(0, 20_000)), max_size=6))
def test_any_text_makes_valid_files(rows: list[tuple[str, int, int]]) -> None:
    sentences = [Sentence(text, begin, begin + length, (), confidence=0.5) for text, begin, length in rows]
    for made in (
        to_txt(sentences, times=True),
        to_srt(sentences),
        to_vtt(sentences),
        to_json(transcription(*sentences)),
        to_csv(sentences),
    ):
        made.encode()
        assert not [c for c in made if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t"]
    table = list(csv.reader(io.StringIO(to_csv(sentences).removeprefix("\ufeff"), newline="")))
    assert len(table) == len(sentences) + 1
    for row in table:
        assert not row[4].lstrip().startswith(tuple("=+-@＝＋－＠"))
    assert to_vtt(sentences).count("-->") == len(cues_of(sentences)) == to_srt(sentences).count("-->")
    for cue in cues_of(sentences):
        assert cue.end_ms > cue.begin_ms
        assert 1 <= len(cue.lines) <= 2


words = st.lists(
    st.sampled_from(["我", "们", "的", "会", "议", "Paraformer", "A" * 70, "12%"]), min_size=1, max_size=120
)


@settings(max_examples=80, deadline=None)
@given(words, st.data())
def test_cues_keep_every_character_in_order(parts: list[str], data: st.DataObject) -> None:
    marks = data.draw(
        st.lists(st.sampled_from(["", "", "", "，", "。", " "]), min_size=len(parts), max_size=len(parts))
    )
    text = "".join(part + mark for part, mark in zip(parts, marks, strict=True))
    spoken = tuple(Word(part, i * 300, i * 300 + 280) for i, part in enumerate(parts))
    cues = cues_of([Sentence(text, 0, spoken[-1].end_ms, spoken)])
    assert "".join("".join(c.lines) for c in cues).replace(" ", "") == text.replace(" ", "")
    assert all(a.end_ms <= b.begin_ms for a, b in pairwise(cues))
    assert all(width(line) <= LINE_CHARACTERS + 1 for c in cues for line in c.lines)
