"""Paragraphs, the places of words in the text, and doubted words."""

from __future__ import annotations

from typing import Any

from portal.models import TranscriptSentence
from portal.services.transcripts.document import Piece, paragraphs


def sentence(position: int, text: str, words: list[Any], **more: Any) -> TranscriptSentence:
    """A row that was never stored; begins at a second per position."""
    begin = 1000 * position
    values: dict[str, Any] = {"paragraph": 0, "begin_ms": begin, "end_ms": begin + 900, **more}
    return TranscriptSentence(position=position, text=text, words=words, **values)


def test_words_know_their_place_between_punctuation() -> None:
    words = [["今", 1000, 1100, 0.9], ["天", 1100, 1200, 0.9], ["GPU", 1300, 1500, 0.9], ["好", 1500, 1600, 0.9]]
    (paragraph,) = paragraphs([sentence(1, "今天，GPU 好。", words)])
    (shown,) = paragraph.sentences
    assert shown.word_places == (0, 1, 0, 100, 1, 1, 100, 200, 3, 3, 300, 500, 7, 1, 500, 600)
    assert shown.pieces == (Piece("今天，GPU 好。", unsure=False),)


def test_doubted_neighbours_share_one_mark() -> None:
    words = [["在", 0, 1, 0.9], ["二", 1, 2, 0.5], ["十", 2, 3, 0.59], ["前", 3, 4, 0.6], ["完", 4, 5, None]]
    (paragraph,) = paragraphs([sentence(0, "在二十前完。", words)])
    assert paragraph.sentences[0].pieces == (Piece("在", False), Piece("二十", True), Piece("前完。", False))


def test_a_word_that_is_not_in_the_text_is_passed_over() -> None:
    (paragraph,) = paragraphs([sentence(0, "好的。", [["乙", 0, 1, 0.1], ["好", 1, 2, 0.9], ["", 2, 3, 0.1]])])
    assert paragraph.sentences[0].word_places == (0, 1, 1, 2)
    assert paragraph.sentences[0].pieces == (Piece("好的。", False),)


def test_paragraphs_break_at_pauses_and_at_channels() -> None:
    rows = [
        sentence(0, "您好。", [], channel=0),
        sentence(1, "请讲。", [], channel=0),
        sentence(2, "我想问一下。", [], channel=1),
        sentence(3, "还有。", [], channel=1, paragraph=1),
    ]
    found = paragraphs(rows)
    assert [(p.begin_ms, p.channel, len(p.sentences)) for p in found] == [(0, 0, 2), (2000, 1, 1), (3000, 1, 1)]


def test_latin_sentences_keep_their_space() -> None:
    (paragraph,) = paragraphs([sentence(0, "Yes.", []), sentence(1, "Go on.", []), sentence(2, "好。", [])])
    assert [shown.gap for shown in paragraph.sentences] == ["", " ", ""]


def test_nothing_makes_nothing() -> None:
    assert paragraphs([]) == []


def made(word: int, heard: str, written: str) -> dict[str, Any]:
    """A substitution as it is stored."""
    return {
        "begin_ms": 0,
        "end_ms": 1,
        "heard": heard,
        "written": written,
        "replacement": "7",
        "word": word,
        "near": False,
    }


def test_what_the_table_wrote_is_marked_where_it_stands_and_only_there() -> None:
    words = [[c, i, i + 1, 0.5 if c == "澜" else 0.9] for i, c in enumerate("星澜和星澜好")]
    rows = [sentence(0, "星澜和星澜，好。", words, substitutions=[made(3, "新兰", "星澜")])]
    assert paragraphs(rows)[0].sentences[0].pieces == (
        Piece("星", False), Piece("澜", True), Piece("和", False), Piece("星澜", True, "新兰"), Piece("，好。", False),
    )  # fmt: skip


def test_a_record_that_does_not_fit_the_text_marks_nothing() -> None:
    words = [[c, i, i + 1, 0.9] for i, c in enumerate("星澜好")]
    rows = [sentence(0, "星澜好。", words, substitutions=[made(1, "x", "别的"), made(9, "y", "好")])]
    assert paragraphs(rows)[0].sentences[0].pieces == (Piece("星澜好。", False),)
