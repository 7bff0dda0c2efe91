"""A segment in two at its quietest place, and one result again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.asr.engine.backend import Recognised, Speech
from portal.asr.engine.splitting import SHORTEST_FRAMES, halved, joined, quietest
from portal.asr.types import Word


def frames(count: int, quiet: int | None = None, *, width: int = 15) -> np.ndarray:
    bank = np.random.default_rng(count).normal(12.0, 1.0, (count, 80)).astype(np.float32)
    if quiet is not None:
        bank[quiet - width // 2 : quiet + width // 2 + 1] -= 8.0
    return bank


@pytest.mark.parametrize(("count", "quiet"), [(1_000, 300), (1_000, 500), (1_000, 740), (200, 90)])
def test_the_cut_lies_in_the_pause(count: int, quiet: int) -> None:
    assert abs(quietest(frames(count, quiet)) - quiet) <= 5


def test_a_click_of_silence_is_no_pause() -> None:
    bank = frames(1_000, 600)
    bank[400] -= 40.0
    assert abs(quietest(bank) - 600) <= 5


@given(st.integers(SHORTEST_FRAMES, 3_000), st.integers(0, 10**7), st.integers(1, 12))
def test_halves_cover_everything_once(count: int, begin: int, step: int) -> None:
    speech = Speech(begin, begin + count * 10 + 20, -(-count // step), frames(count))
    parts = halved(speech, step)
    assert parts is not None
    first, second = parts
    assert (first.begin_ms, first.end_ms, second.end_ms) == (speech.begin_ms, second.begin_ms, speech.end_ms)
    assert np.array_equal(np.concatenate([first.features, second.features]), speech.features)
    assert min(len(first.features), len(second.features)) >= count // 4
    assert second.begin_ms - first.begin_ms == 10 * len(first.features)
    assert (first.frames, second.frames) == tuple(-(-len(part.features) // step) for part in parts)


def test_what_is_too_short_stays_whole() -> None:
    assert halved(Speech(0, 990, 17, frames(SHORTEST_FRAMES - 1)), 6) is None
    assert halved(Speech(0, 0, 1, frames(0)), 6) is None


def word(text: str, begin: int) -> Word:
    return Word(text, begin, begin + 100, 0.5)


def test_results_are_joined_in_order_with_the_times_of_the_whole() -> None:
    parts = [Speech(5_000, 7_500, 1, None), Speech(7_500, 9_000, 1, None)]
    first = Recognised((word("今", 0), word("天", 200)), ("", "，"), "zh", None, ("laughter",))
    second = Recognised((word("好", 300),), ("。",), "en", "happy", ("laughter", "applause"))
    whole = joined(parts, [first, second])
    assert [(w.text, w.begin_ms, w.end_ms) for w in whole.words] == [
        ("今", 0, 100),
        ("天", 200, 300),
        ("好", 2_800, 2_900),
    ]
    assert whole.marks == ("", "，", "。")
    assert (whole.language, whole.emotion, whole.events) == ("zh", "happy", ("laughter", "applause"))
    assert joined(parts, [first, Recognised(())]).marks is None
    assert not whole.cut_off
    assert joined(parts, [first, Recognised((), cut_off=True)]).cut_off
