"""Labels of sentences from the spans of speakers."""

from __future__ import annotations

import random

from portal.asr.speakers import label
from portal.asr.types import Sentence


def sentence(begin: int, end: int) -> Sentence:
    return Sentence("话", begin, end, ())


def labels(sentences: list[Sentence], spans: list[tuple[int, int, int]]) -> list[str | None]:
    return [item.speaker for item in label(sentences, spans)]


def test_the_speaker_heard_longest_is_named_in_order_of_first_appearance() -> None:
    spans = [(0, 4_000, 7), (4_000, 10_000, 2), (10_000, 12_000, 7)]
    said = [sentence(0, 3_900), sentence(3_000, 9_000), sentence(9_500, 12_000)]
    assert labels(said, spans) == ["1", "2", "1"]


def test_several_spans_of_one_speaker_count_together() -> None:
    spans = [(0, 1_000, 0), (1_000, 2_500, 1), (2_500, 3_500, 0)]
    assert labels([sentence(0, 3_500), sentence(1_000, 2_500)], spans) == ["1", "2"]


def test_a_sentence_outside_every_span_takes_the_nearest() -> None:
    spans = [(0, 1_000, 0), (9_000, 10_000, 1)]
    assert labels([sentence(0, 500), sentence(2_000, 3_000), sentence(7_000, 8_000)], spans) == ["1", "1", "2"]


def test_names_follow_time_even_when_sentences_do_not() -> None:
    spans = [(0, 1_000, 5), (1_000, 2_000, 6)]
    assert labels([sentence(1_000, 2_000), sentence(0, 1_000)], spans) == ["2", "1"]


def test_without_spans_nobody_is_named() -> None:
    assert labels([sentence(0, 10)], []) == [None]
    assert labels([sentence(0, 10)], [(5, 5, 1)]) == [None]
    assert label([], [(0, 1, 0)]) == ()


def test_looking_up_by_time_equals_looking_at_every_span() -> None:
    dice = random.Random(4)
    compared = 0
    for _ in range(200):
        spans = [(begin, begin + dice.randint(1, 900), dice.randint(0, 3)) for begin in dice.sample(range(5_000), 12)]
        said = [sentence(begin, begin + dice.randint(1, 700)) for begin in dice.sample(range(5_000), 8)]
        numbers: dict[str | None, int] = {}
        for item, name in zip(said, labels(said, spans), strict=True):
            heard = [0, 0, 0, 0]
            for begin, end, number in spans:
                heard[number] += max(0, min(end, item.end_ms) - max(begin, item.begin_ms))
            if max(heard) and heard.count(max(heard)) == 1:
                # one name stands for one number throughout
                assert numbers.setdefault(name, heard.index(max(heard))) == heard.index(max(heard))
                compared += 1
        assert len(set(numbers.values())) == len(numbers)
    assert compared > 800
