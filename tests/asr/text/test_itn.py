"""Numbers in the Chinese manner, and no word loses its time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.itn import itn_text, normalise
from portal.asr.itn_numbers import NUMERALS, to_digits
from portal.asr.types import Word

WRITTEN = {
    "二零二五年三月十五号": "2025年3月15日",
    "二零二五年三月十五日上午九点半": "2025年3月15日上午9点半",
    "一九九八年十二月": "1998年12月",
    "公元前二二一年": "公元前221年",
    "二五年": "25年",
    "二零二五到二零二六年": "2025到2026年",
    "六月一号下午两点": "6月1日下午2点",
    "下午三点十五分": "下午3点15分",
    "早上八点": "早上8点",
    "上午十点到十二点": "上午10点到12点",
    "八点四十五": "8点45",
    "三点半": "3点半",
    "十点零五": "10点05",
    "十点零五分": "10点05分",
    "十二点零五分": "12点05分",
    "两点零五分开始": "2点05分开始",
    "八点一刻": "8点一刻",
    "下午三点三刻": "下午3点三刻",
    "三万亿元": "3万亿元",
    "总数十二": "总数12",
    "十二点三十分五十秒": "12点30分50秒",
    "一千二百三十四元": "1234元",
    "三百块钱": "300块钱",
    "三百二十万元": "320万元",
    "三点五美元": "3.5美元",
    "一百欧元": "100欧元",
    "两万块": "2万块",
    "一万多元": "1万多元",
    "五百二十一点三万": "521.3万",
    "三亿五千万": "3亿5000万",
    "十三亿": "13亿",
    "百分之二十五点五": "25.5%",
    "百分之百": "100%",
    "百分之三到百分之五": "3%到5%",
    "三点五个百分点": "3.5个百分点",
    "三十七点五度": "37.5度",
    "六点八公里": "6.8公里",
    "三十平方米": "30平方米",
    "八百毫升": "800毫升",
    "六十秒": "60秒",
    "二十四小时": "24小时",
    "零点五": "0.5",
    "三点一四一五九": "3.14159",
    "一百二十三": "123",
    "一百零五": "105",
    "两千零三十": "2030",
    "一万两千三百": "12300",
    "一百五": "150",
    "一千八": "1800",
    "两万五": "25000",
    "幺三八零零一三八零零零": "13800138000",
    "电话是零一零八八八八六六六六": "电话是01088886666",
    "编号零零七": "编号007",
    "四零四错误": "404错误",
    "二十五号楼三单元五零二室": "25号楼三单元502室",
    "第二十三章": "第23章",
    "二十岁": "20岁",
    "三百多人": "300多人",
    "五到十个": "5到10个",
    "三比二": "3比2",
    "一等于一点零": "1等于1.0",
}
STAY = """
万一 一等奖 三心二意 五六十人 七八个人 三四十岁 一个 一下 一些 一起 第一 一点 有一点 一月 一年 三年 五天 一周 周五
星期一 十几个人 几十万 十来个 十分感谢 千万不要 百分百 三分之一 四面八方 七上八下 五一劳动节 三八妇女节 双十一
十一假期 三十而立 一千零一夜 一五一十 九九乘法 二百五 零售 零件 二维码 三G 两个 三个人 半小时 两个半月 万里长城
亿万富翁 千里之外 百年 你好世界 hello 几十 好几十个人 数十亿 八九不离十 三三两两地来 七七八八
"""


@pytest.mark.parametrize(("spoken", "text"), WRITTEN.items())
def test_written(spoken: str, text: str) -> None:
    assert itn_text(spoken) == text
    assert itn_text(f"我说{spoken}") == f"我说{text}"


@pytest.mark.parametrize("text", STAY.split())
def test_stays(text: str) -> None:
    assert itn_text(text) == text


def words_of(text: str) -> list[Word]:
    """One word a character, 200 ms each with a gap of 40 ms."""
    return [Word(c, i * 240, i * 240 + 200, 0.5 + (i % 5) / 10) for i, c in enumerate(text)]


def test_times_and_confidence_of_a_group() -> None:
    words, marks = normalise(words_of("共一千二百元吧"), ["", "", "", "", "", "，", "。"])
    assert [w.text for w in words] == ["共", "1200", "元", "吧"]
    assert list(marks) == ["", "", "，", "。"]
    assert (words[1].begin_ms, words[1].end_ms) == (240, 240 * 4 + 200)
    assert words[1].confidence == pytest.approx((0.6 + 0.7 + 0.8 + 0.9) / 4)


def test_marks_divide_numbers() -> None:
    words, marks = normalise(words_of("二十三十"), ["", "，", "", "。"])
    assert [w.text for w in words] == ["20", "30"]
    assert list(marks) == ["，", "。"]


def test_words_of_several_characters_and_unknown_confidence() -> None:
    words = [Word("共二", 0, 100), Word("十三", 100, 200), Word("GPU", 200, 300), Word("A", 300, 400)]
    out, marks = normalise(words, ["", "", "", "。"])
    assert [(w.text, w.begin_ms, w.end_ms, w.confidence) for w in out] == [
        ("共23", 0, 200, None),
        ("GPU", 200, 300, None),
        ("A", 300, 400, None),
    ]
    assert list(marks) == ["", "", "。"]


@pytest.mark.parametrize("text", ['二十"三十', "二十\\三十", '"', "\\"])
def test_characters_that_wetext_escapes_do_not_move_anything(text: str) -> None:
    assert itn_text(text) == text


piece = st.one_of(
    st.text(NUMERALS + "点分之年月号元块半多百负到比第", min_size=1, max_size=3),
    st.sampled_from(["我", "们", "GPU", "a", "万一", "百分之", "二零二五年", "下午三点", "，", '"']),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(piece, st.sampled_from(["", "", "", "", "，", "。"])), min_size=1, max_size=12))
def test_no_time_is_ever_lost(parts: list[tuple[str, str]]) -> None:
    words = [Word(text, i * 100, i * 100 + 90, 0.5) for i, (text, _) in enumerate(parts)]
    marks = [mark for _, mark in parts]
    out, out_marks = normalise(words, marks)
    assert len(out) == len(out_marks)
    owners = [[w for w in words if o.begin_ms <= w.begin_ms and w.end_ms <= o.end_ms] for o in out]
    assert [w for owned in owners for w in owned] == words
    assert [m for m in out_marks if m] == [m for m in marks if m]
    for result, owned in zip(out, owners, strict=True):
        assert result.text
        assert (result.begin_ms, result.end_ms) == (owned[0].begin_ms, owned[-1].end_ms)
        if len(owned) == 1 and not any(c in NUMERALS + "号点" for c in owned[0].text):
            assert result.text == owned[0].text


@settings(max_examples=300, deadline=None)
@given(st.text(NUMERALS, min_size=1, max_size=12))
def test_any_run_of_numerals_has_a_value(text: str) -> None:
    assert to_digits(text).strip("0123456789万亿") == "" or not text


@pytest.mark.parametrize("value", [10, 11, 20, 99, 100, 101, 110, 999, 1000, 1001, 1010, 1100, 12345, 10001, 100100])
def test_round_trip_of_formal_numbers(value: int) -> None:
    assert to_digits(spell(value)) == str(value)


def spell(value: int) -> str:
    """The formal reading of a number below ten million."""
    if value >= 10_000:
        rest = value % 10_000
        return spell(value // 10_000) + "万" + ("" if not rest else ("零" if rest < 1000 else "") + spell(rest))
    for unit, name in ((1000, "千"), (100, "百"), (10, "十")):
        if value >= unit:
            rest = value % unit
            gap = "零" if 0 < rest < unit // 10 else ""
            return "零一二三四五六七八九"[value // unit] + name + (gap + spell(rest) if rest else "")
    return "零一二三四五六七八九"[value]
