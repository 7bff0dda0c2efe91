"""What a department knows to be misheard is written right, where it was said, and every change is told."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.replacement_pairs import PairProblemCode, parse_pairs, try_on
from portal.asr.replacements import MOST_PER_RECORDING, Replacer, spelled, units_of
from portal.asr.sentences import SentenceBuilder
from portal.asr.sounds import rough, sounds_of
from portal.asr.types import Replacement, Sentence, Substitution, Word


def pair(wrong: str, right: str, *, near: bool = False, id: str = "") -> Replacement:
    return Replacement(id or f"{wrong}>{right}", wrong, right, near)


def words_of(text: str) -> list[Word]:
    return [Word(unit, 250 * i, 250 * i + 200, 0.5) for i, unit in enumerate(units_of(text))]


def sentence(text: str, *pairs: Replacement, marks: dict[int, str] | None = None, itn: bool = True) -> Sentence:
    """``text`` recognised word by word; ``marks``: after which word which mark stands."""
    builder = SentenceBuilder(itn=itn, replacements=pairs)
    words = words_of(text)
    marked = [(word, (marks or {}).get(i, "")) for i, word in enumerate(words)]
    (found,) = [*builder.push(marked), *builder.finish()]
    return found


def test_a_wrong_spelling_is_written_right_and_the_change_is_told() -> None:
    found = sentence("今天说新兰项目", pair("新兰", "星澜", id="7"))
    assert found.text == "今天说星澜项目"
    assert found.substitutions == (Substitution(750, 1200, "新兰", "星澜", "7", 3),)
    assert [(word.text, word.begin_ms, word.end_ms) for word in found.words[3:5]] == [
        ("星", 750, 950),
        ("澜", 1000, 1200),
    ]
    assert (found.begin_ms, found.end_ms) == (0, 1700)


@pytest.mark.parametrize(
    ("text", "wrong", "right", "written"),
    [
        ("用deep seek写", "deep seek", "DeepSeek", "用DeepSeek写"),
        ("用 DEEP Seek 写", "Deep seek", "DeepSeek", "用DeepSeek写"),
        ("brand and band", "and", "AND", "brand AND band"),
        ("我们的k八s集群", "k八s", "K8s", "我们的K8s集群"),
        ("星云三号楼", "星云三号楼", "星云三号楼（东）", "星云三号楼（东）"),
        ("去东郊民巷开会", "东郊民巷", "东交民巷小学", "去东交民巷小学开会"),
        ("买了二十五台灵溪", "二十五台灵溪", "二十五台灵犀", "买了二十五台灵犀"),
        ("三一重工的设备", "三一众工", "三一重工", "三一重工的设备"),
    ],
)
def test_spellings(text: str, wrong: str, right: str, written: str) -> None:
    assert sentence(text, pair(wrong, right)).text == written


def test_numbers_are_found_as_spoken_and_as_written_and_stay_as_the_table_says() -> None:
    two = pair("二零二五星兰", "二零二五星澜")
    assert sentence("在二零二五星兰会上", two).text == "在二零二五星澜会上"
    assert sentence("在二零二五星兰会上", two, itn=False).text == "在二零二五星澜会上"
    assert sentence("在二零二五星兰会上", pair("2025星兰", "2025 星澜")).text == "在2025 星澜会上"


def test_the_longest_from_the_left_wins_and_nothing_is_read_twice() -> None:
    short, long, chain = pair("新兰", "星澜"), pair("新兰门户", "星澜门户网"), pair("星澜", "不该出现")
    assert sentence("新兰门户和新兰", chain, short, long).text == "星澜门户网和星澜"
    assert sentence("甲乙丙", pair("甲乙", "一二"), pair("乙丙", "x"), itn=False).text == "一二丙"
    assert [s.heard for s in sentence("新兰门户和新兰", chain, short, long).substitutions] == ["新兰门户", "新兰"]


def test_the_earlier_of_equal_pairs_wins() -> None:
    assert sentence("新兰", pair("新兰", "星澜"), pair("新兰", "心蓝")).text == "星澜"


def test_a_match_never_crosses_a_mark() -> None:
    assert sentence("新兰好", pair("新兰", "星澜"), marks={0: "，"}).text == "新，兰好"
    assert sentence("新兰好", pair("新兰", "星澜", near=True), marks={0: "，"}).text == "新，兰好"
    assert sentence("新兰好", pair("新兰", "星澜"), marks={1: "，"}).text == "星澜，好"
    assert sentence("新兰好", pair("新兰", "星澜光年"), marks={1: "，"}).text == "星澜光年，好"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("行栏", True),
        ("新蓝", True),
        ("心南", True),
        ("星 澜", True),
        ("新路", False),
        ("三蓝", False),
        ("兰新", False),
    ],
)
def test_by_sound(said: str, found: bool) -> None:
    made = sentence(f"项目{said}上线", pair("新兰", "星澜", near=True))
    assert ("星澜" in made.text) is found
    heard = said.replace(" ", "")
    changed = found and heard != "星澜"  # already right: passed over, nothing to tell
    assert [(s.heard, s.near) for s in made.substitutions] == ([(heard, heard != "新兰")] if changed else [])


def test_by_letters_before_by_sound_and_readings_in_their_place() -> None:
    near, exact = pair("新兰", "星澜", near=True), pair("行栏", "杏兰")
    assert sentence("行栏新蓝", near, exact).text == "杏兰星澜"
    assert sentence("到崇庆去", pair("重庆", "重庆市", near=True)).text == "到重庆市去"  # chóng here, not zhòng
    assert sentence("到众庆去", pair("重庆", "重庆市", near=True)).text == "到众庆去"


def test_sounds() -> None:
    assert [rough(s) for s in ("zhang", "cheng", "shi", "ling", "nan", "xiang", "zhong", "lv")] == [
        "zan", "cen", "si", "nin", "nan", "xian", "zong", "nv",
    ]  # fmt: skip
    assert sounds_of("K八") == [frozenset({"K"}), frozenset({"ba"})]
    assert "hang" not in sounds_of("行")[0] | {"han"}
    assert "han" in sounds_of("银行")[1]
    assert sounds_of("银行", usual=False)[1] == frozenset({"han"})
    assert len(sounds_of("〇䶮𠮷ーx１")) == 6


def test_a_table_beyond_the_limit_is_cut() -> None:
    many = [pair(f"错字{i}", f"对字{i}") for i in range(MOST_PER_RECORDING + 1)]
    assert len(Replacer(many).find(["错", "字", str(MOST_PER_RECORDING - 1)], [False] * 3)) == 1
    assert Replacer(many).find(["错", "字", str(MOST_PER_RECORDING)], [False] * 3) == []
    assert not Replacer(())


CHARACTERS = "新兰星澜行栏门户一二三"
TEXTS = st.lists(st.one_of(st.sampled_from(CHARACTERS), st.sampled_from(["K8s", "deep", "Seek", "25"])), max_size=30)
TABLE = (
    pair("新兰", "星澜", near=True),
    pair("deep seek", "DeepSeek"),
    pair("门户二", "门户网二期", near=True),
    pair("一二三", "壹"),
    pair("K8s", "Kubernetes 集群"),
)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.data())
def test_times_stay_orderly_and_nothing_else_changes(units: list[str], data: st.DataObject) -> None:
    begin, words = 0, []
    for unit in units:
        begin += data.draw(st.integers(0, 400))
        words.append(Word(unit, begin, begin + data.draw(st.integers(0, 600)), 0.5))
    marks = [data.draw(st.sampled_from(["", "", "", "，", "。"])) for _ in words]
    out, out_marks, made = Replacer(TABLE).apply(words, marks)
    assert len(out) == len(out_marks)
    assert "".join(out_marks) == "".join(marks)
    assert [w.begin_ms for w in out] == sorted(w.begin_ms for w in out)
    assert all(w.begin_ms <= w.end_ms for w in out)
    if words:
        assert out[0].begin_ms == words[0].begin_ms
        assert max(w.end_ms for w in out) == max(w.end_ms for w in words)
    if not made:
        assert (list(out), list(out_marks)) == (words, marks)
    assert all(change.heard != change.written for change in made)
    for change in made:  # the place that is told is the place where it stands
        assert spelled([word.text for word in out[change.word :]]).startswith(change.written)
        assert out[change.word].begin_ms == change.begin_ms
    assert [change.begin_ms for change in made] == sorted(change.begin_ms for change in made)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("天地玄黄宇宙洪荒ab"), max_size=40))
def test_a_text_without_matches_is_left_alone(units: list[str]) -> None:
    words = words_of("".join(units))
    marks = [""] * len(words)
    assert Replacer(TABLE).apply(words, marks) == (tuple(words), tuple(marks), ())
    assert "".join(run.text for run in try_on("".join(units), TABLE)) == "".join(units)


def test_a_full_table_keeps_up_with_speech() -> None:
    """Two thousand pairs by sound and an hour of speech (15,000 characters): far less than the recognition takes."""
    syllables = "星澜灵犀云枢江州漏检测试冻结项目权限模型门户网关"
    table = [pair(a + b + c, "对", near=True) for a in syllables for b in syllables for c in syllables[:4]][:2000]
    words = words_of("今天我们讨论星澜项目的权限模型和门户网关" * 750)
    replacer = Replacer(table)
    before = time.process_time()
    for start in range(0, len(words), 40):
        replacer.apply(words[start : start + 40], [""] * len(words[start : start + 40]))
    assert time.process_time() - before < 20


def test_pasted_lines_become_pairs() -> None:
    raw = "新兰→星澜\r\n 行栏 -> 星澜\n\ndeep seek => DeepSeek\n灵溪,灵犀\n云书，云枢\n江洲\t江州\nＫ８S→K8s\n新兰→星澜"
    check = parse_pairs(raw)
    assert check.problems == ()
    assert [(p.wrong, p.right) for p in check.pairs] == [
        ("新兰", "星澜"), ("行栏", "星澜"), ("deep seek", "DeepSeek"), ("灵溪", "灵犀"), ("云书", "云枢"),
        ("江洲", "江州"), ("K8S", "K8s"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "detail"),
    [
        ("新兰", "NO_ARROW", ""),
        ("a→b→c", "NO_ARROW", ""),
        ("新兰→", "EMPTY", ""),
        ("→星澜", "EMPTY", ""),
        ("\u200b→星澜", "EMPTY", ""),
        ("兰→澜", "TOO_SHORT", ""),
        ("新" * 17 + "→星澜", "TOO_LONG", ""),
        ("新兰→" + "星" * 17, "TOO_LONG", ""),
        ("新，兰→星澜", "BAD_CHARACTER", ","),
        ("新<兰→星澜", "BAD_CHARACTER", "<"),
        ("新兰→星澜。", "BAD_CHARACTER", "。"),
        ("星澜→星澜", "SAME", ""),
        ("新兰" + " " * 600 + "→星澜", "TOO_LONG", ""),
    ],
)
def test_lines_that_cannot_be_used_say_why(line: str, code: PairProblemCode, detail: str) -> None:
    (problem,) = parse_pairs(f"好的→行的\n{line}").problems
    assert (problem.line, problem.code, problem.detail) == (2, code, detail)


@pytest.mark.parametrize("filler", [" ", "\u3000", "\t", "=", "-"])
def test_a_line_of_any_length_is_read_at_once(filler: str) -> None:
    began = time.monotonic()
    (problem,) = parse_pairs("a" + filler * 100_000 + "b").problems
    assert problem.code == "TOO_LONG"
    assert time.monotonic() - began < 2


def test_many_lines_of_spaces_are_read_at_once() -> None:
    began = time.monotonic()
    check = parse_pairs(f"新兰{' ' * 400}->{chr(9) * 80}星澜\n" + f"a{' ' * 500}b\n" * 190)
    assert [(pair.wrong, pair.right) for pair in check.pairs] == [("新兰", "星澜")]
    assert {problem.code for problem in check.problems} == {"NO_ARROW"}
    assert time.monotonic() - began < 1


def test_what_only_several_lines_show() -> None:
    check = parse_pairs("新兰→星澜\n新兰→心蓝\nab→AB\n甲乙→丙\n丁戊→己", max_pairs=3)
    assert [(p.line, p.code) for p in check.problems] == [(2, "TWICE"), (5, "TOO_MANY")]
    assert [p.code for p in parse_pairs("k8s→K8s\n新k→星k", near=True).problems] == ["NOT_CHINESE", "NOT_CHINESE"]


def test_a_table_tried_on_a_text() -> None:
    table = (pair("新兰", "星澜", near=True), pair("deep seek", "DeepSeek"))
    runs = try_on("今天，行栏和 deep  seek：新，兰。\n星澜（新兰）", table)
    assert [(run.text, run.heard) for run in runs] == [
        ("今天，", None), ("星澜", "行栏"), ("和 ", None), ("DeepSeek", "deep  seek"), ("：新，兰。\n星澜（", None),
        ("星澜", "新兰"), ("）", None),
    ]  # fmt: skip
    assert try_on("", table) == ()
    assert "".join(run.heard or run.text for run in runs) == "今天，行栏和 deep  seek：新，兰。\n星澜（新兰）"
