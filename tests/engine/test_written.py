"""Words and marks out of a text that the model punctuated itself."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from portal.asr.engine.written import words_and_marks
from portal.asr.types import Word


def characters(text: str) -> list[Word]:
    return [Word(text[i], i * 10, i * 10 + 10, 0.5 + i / 1000) for i in range(len(text))]


def split(text: str) -> list[str]:
    words, marks = words_and_marks(characters(text))
    return [word.text + mark for word, mark in zip(words, marks, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好，世界。", ["你", "好，", "世", "界。"]),
        ("Hello, world. How are you?", ["Hello，", "world。", "How", "are", "you？"]),
        ("增长了3.5%，到1,200元。", ["增", "长", "了", "3.5%，", "到", "1,200", "元。"]),
        ("10:30在A.B.C公司", ["10:30", "在", "A.B.C", "公", "司"]),
        ("好的.再见", ["好", "的。", "再", "见"]),
        ("真的？！是。。", ["真", "的？", "是。"]),
        ("看《红楼梦》，(第2回)", ["看", "《红", "楼", "梦》，", "(第", "2", "回)"]),
        ("“好”，他说", ["“好”，", "他", "说"]),
        ("it's up-to-date…", ["it's", "up-to-date…"]),
        ("이것은 한국어입니다.", ["이것은", "한국어입니다。"]),
        ("これはペンです。", ["こ", "れ", "は", "ペ", "ン", "で", "す。"]),
        ("Xin chào các bạn", ["Xin", "chào", "các", "bạn"]),
        ("。，开头", ["开", "头"]),
        ("用API吧", ["用", "API", "吧"]),
        ("  ", []),
        ("", []),
        ("）", ["）"]),
        ("（", ["（"]),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_times_and_confidence_come_from_the_characters() -> None:
    words, marks = words_and_marks(characters("ab 好。"))
    assert words == (Word("ab", 0, 20, 0.5), Word("好", 30, 40, 0.503))
    assert marks == ("", "。")


def test_nothing_is_lost_or_added() -> None:
    dice = random.Random(2)
    letters = "你好世界abcXYZ019 .,?!:;。，？！、；：《》（）()“”%'-…$안녕ペン"
    narrow = str.maketrans("。？！，；：", ".?!,;:")
    for _ in range(2_000):
        text = "".join(dice.choice(letters) for _ in range(dice.randint(0, 30)))
        words, marks = words_and_marks(characters(text))
        kept = re.sub(r"[\s.?!,;:、]", "", text.translate(narrow))
        joined = "".join(word.text for word in words)
        assert re.sub(r"[.,:、?!;]", "", joined.translate(narrow)) == kept
        assert all(word.text and not re.search(r"\s", word.text) for word in words)
        assert set(marks) <= set("。？！，、；：") | {""}
        assert all(first.begin_ms <= second.begin_ms for first, second in itertools.pairwise(words))
