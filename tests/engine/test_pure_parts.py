"""Hotwords, batches, words and token times: the parts without models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.asr.engine.batching import MAX_WASTE, Budget, Item, choose, padded_frames, waste
from portal.asr.engine.hotword_check import check_hotwords, digest_of
from portal.asr.engine.timing import fire_places, fire_weights, token_times
from portal.asr.engine.words import words_of
from portal.asr.errors import EngineFailed
from portal.asr.types import Word


@pytest.mark.parametrize(
    "tokens",
    [
        ["http://127.0.0.1/x"],
        ["https", "达摩院"],
        ["达摩院", "说明.txt"],
        ["说明.TXT"],
        ["a b"],
        ["a\u3000b"],
        ["../etc"],
        ["x" * 17],
        [""],
        ["阿里\n"],
        ["名\u202e字"],
        ["a|b"],
    ],
)
def test_a_hotword_that_funasr_would_take_for_something_else_is_refused(tokens: list[str]) -> None:
    with pytest.raises(EngineFailed) as refusal:
        check_hotwords(tokens)
    assert refusal.value.code == "HOTWORD_REFUSED"
    assert not any(token and token in str(refusal.value) for token in tokens)


def test_clean_hotwords_keep_their_order_and_lose_repeats() -> None:
    assert check_hotwords(["达摩院", "C++", "达摩院", "AT&T"]) == ("达摩院", "C++", "AT&T")
    assert digest_of(("a", "b")) != digest_of(("b", "a"))
    assert digest_of(()) == ""


items = st.lists(
    st.builds(
        Item,
        key=st.integers(0, 10**6),
        recording=st.integers(1, 4),
        frames=st.integers(1, 600),
        live=st.booleans(),
        digest=st.sampled_from(["", "a", "b"]),
        order=st.integers(0, 10**6),
        alone=st.sampled_from([False, False, False, True]),
    ),
    max_size=60,
    unique_by=(lambda item: item.key, lambda item: item.order),
)


@given(items, st.integers(100, 5_000), st.dictionaries(st.integers(1, 4), st.floats(0, 1e6)))
def test_a_batch_keeps_its_promises(waiting: list[Item], budget: int, served: dict[int, float]) -> None:
    batch = choose(waiting, served, budget_frames=budget)
    assert bool(batch) == bool(waiting)
    if not batch:
        return
    assert len({(item.live, item.digest) for item in batch}) == 1
    assert len({item.key for item in batch}) == len(batch)
    assert batch[0].live == any(item.live for item in waiting)
    if len(batch) > 1:
        assert padded_frames(batch) <= budget
        assert waste(batch) <= MAX_WASTE + 1e-9
        assert not any(item.alone for item in batch)
    least = min(served.get(item.recording, 0.0) for item in waiting if item.live == batch[0].live)
    assert any(served.get(item.recording, 0.0) == least for item in batch)


@given(items, st.integers(100, 5_000))
def test_everything_is_recognised_once_and_nobody_waits_for_ever(waiting: list[Item], budget: int) -> None:
    left, served, seen = list(waiting), dict.fromkeys(range(1, 5), 0.0), []
    while left:
        batch = choose(left, served, budget_frames=budget)
        seen += [item.key for item in batch]
        for item in batch:
            served[item.recording] += item.frames
        left = [item for item in left if item not in batch]
    assert sorted(seen) == sorted(item.key for item in waiting)


def test_a_short_recording_does_not_wait_for_a_long_one() -> None:
    long = [Item(n, 1, 500, False, "", n) for n in range(100)]
    short = Item(1_000, 2, 40, False, "", 1_000)
    assert short in choose([*long, short], {1: 5_000.0, 2: 0.0}, budget_frames=1_000)


def test_equal_lengths_of_many_recordings_share_a_batch() -> None:
    many = [Item(n, n % 7, 100 + n % 3, False, "", n) for n in range(50)]
    assert len(choose(many, {}, budget_frames=3_000)) == 29


def test_the_budget_shrinks_and_grows_back() -> None:
    budget = Budget(1_000)
    budget.shrink()
    assert budget.frames == 600
    for _ in range(500):
        budget.clean()
    assert budget.frames == 1_000


def _tokens(*texts: str) -> list[Word]:
    return [Word(text, n * 100, n * 100 + 90, 0.5 + n / 100) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (("今", "天"), ["今", "天"]),
        (("a", "p", "i", "接", "口"), ["API", "接", "口"]),
        (("用", "a", "i"), ["用", "AI"]),
        (("选", "a"), ["选", "a"]),
        (("hel@@", "lo", "world"), ["hello", "world"]),
        (("<unk>", "好", "</s>"), ["好"]),
        (("ab@@", "好"), ["ab", "好"]),
        (("x@@",), ["x"]),
        ((), []),
    ],
)
def test_tokens_become_words(tokens: tuple[str, ...], expected: list[str]) -> None:
    assert [word.text for word in words_of(_tokens(*tokens))] == expected


def test_a_joined_word_lasts_from_its_first_to_its_last_letter() -> None:
    assert words_of(_tokens("a", "p", "i"))[0] == Word("API", 0, 290, 0.5)


alphas = st.lists(st.floats(0, 0.875, width=32), min_size=1, max_size=200)


@given(alphas)
def test_every_token_that_fires_weighs_one(values: list[float]) -> None:
    weights = fire_weights(np.asarray(values, dtype=np.float32), 1.0)
    assert np.allclose(weights.sum(axis=1), 1.0, atol=1e-4)
    assert len(weights) == len(fire_places(np.asarray(values, dtype=np.float32), 1.0))


@given(alphas, st.integers(0, 60))
def test_token_times_are_ordered_and_inside_the_segment(values: list[float], tokens: int) -> None:
    times = token_times(np.asarray(values, dtype=np.float32), tokens, 20.0, scale_to=tokens + 1)
    assert len(times) == tokens
    flat = [begin for begin, _ in times]
    assert flat == sorted(flat)
    assert all(0 <= begin <= end <= len(values) * 20 for begin, end in times)
