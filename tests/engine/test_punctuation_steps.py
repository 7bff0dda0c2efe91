"""How a text is cut into units and read in steps, without a model."""

from __future__ import annotations

from portal.asr.engine.inference.punctuation import PunctuationJob, units_of


def test_characters_and_latin_runs_are_units_of_their_words() -> None:
    words = ["今", "天", "API", "2026年", "C++"]
    assert units_of(words, None) == [("今", 0), ("天", 1), ("API", 2), ("2026", 3), ("年", 3), ("C++", 4)]


def test_a_dictionary_joins_characters_and_its_mark_goes_to_the_last() -> None:
    units = units_of(["今", "天", "API", "开", "会"], lambda text: [text] if text else [])
    assert units == [("今天", 1), ("API", 2), ("开会", 4)]


def read(length: int, mark_at: dict[int, str]) -> PunctuationJob:
    words = [chr(0x4E00 + n) for n in range(length)]
    job = PunctuationJob(words, units_of(words, None), list(range(length)))
    while not job.done:
        job.take([mark_at.get(number, "") for number in job.window()])
    return job


def test_every_word_has_its_mark_whatever_the_steps() -> None:
    marks = {7: "，", 18: "。", 33: "？", 34: "，", 61: "。"}
    job = read(75, marks)
    assert {n: mark for n, mark in enumerate(job.marks) if mark} == {**marks, 74: "。"}


def test_a_text_without_stops_is_cut_at_a_comma_after_two_hundred() -> None:
    job = read(400, dict.fromkeys(range(9, 400, 10), "，"))
    assert "。" in job.marks[:240]
    assert job.marks[-1] == "。"


def test_no_words_have_no_marks() -> None:
    assert read(0, {}).marks == []
