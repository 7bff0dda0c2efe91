"""What the engine does when a batch does not work out: nobody's words are lost, and everybody is told."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from portal.asr.engine import pulse
from portal.asr.engine.backend import Backend, DeviceLost
from portal.asr.engine.contract import Memory, RecordingOptions
from portal.asr.engine.crash_journal import CrashJournal, content_digest
from portal.asr.engine.fake import SEGMENT_MS, FakePunctuation, expected_text, fake_model, marker
from portal.asr.engine.model_thread import Care
from portal.asr.errors import EngineFailed, ModelError
from tests.engine.in_process import Watched, house

PIECE = SEGMENT_MS * 32


def noise(seconds: float, seed: int) -> bytes:
    return random.Random(seed).randbytes(int(seconds * 32_000) // 2 * 2)


def marked(mode: str, seed: int) -> bytes:
    """Ten seconds that make the fake fail in this way."""
    return (marker(mode) + noise(10, seed))[:PIECE]


class Canary:
    """Counts how often it was heard; ``red``: from now on it is not understood."""

    def __init__(self, *, red: bool = False) -> None:
        self.heard = 0
        self.red = red

    def __call__(self, backend: Backend) -> bool:
        self.heard += 1
        if self.red:
            raise EngineFailed(detail="the canary recording gave other words than expected")
        return True


@pytest.mark.parametrize("mode", ["oom", "oom-long", "oom-always"])
def test_lack_of_memory_costs_no_words(mode: str) -> None:
    pcm = noise(20, 1) + marked(mode, 2) + noise(15, 3)
    backend = Watched()
    with house(backend) as home:
        mate, caller = home.open(noise(40, 4)), home.open(pcm)
        home.done(mate, caller)
        assert caller.error is None
        assert caller.text == expected_text(pcm)
        assert mate.text == expected_text(noise(40, 4))
        figures = home.thread.figures
        assert figures.oom_count >= 1
        expected = {"oom": [], "oom-long": ["OOM_SPLIT"], "oom-always": ["OOM_CPU"]}[mode]
        assert (caller.notices, mate.notices) == (expected, [])
        assert (figures.split_segments, figures.cpu_segments) == (mode == "oom-long", mode == "oom-always")
        assert len(backend.on_cpu) == (mode == "oom-always")


def test_the_times_of_a_split_segment_go_on_over_the_cut() -> None:
    with house(Watched()) as home:
        caller = home.open(noise(10, 1) + marked("oom-long", 2))
        home.done(caller)
        begins = [word[1] for message in caller.of("segment") for word in message["words"]]
        assert begins == [n * 250 for n in range(80)]


def test_without_the_last_step_the_recording_is_told() -> None:
    with house(Watched(), Care(cpu_rescue=False)) as home:
        good, bad = home.open(noise(10, 1)), home.open(marked("oom-always", 2))
        home.done(good, bad)
        assert (good.error, bad.error) == (None, "ENGINE_NO_MEMORY")
        assert home.thread.figures.cpu_segments == 0


def test_the_last_step_may_fail_too() -> None:
    class NoCpu(Watched):
        def recognise_on_cpu(self, features: object, options: object) -> list[None]:  # type: ignore[override]
            raise RuntimeError("no model.pt")

    with house(NoCpu()) as home:
        bad = home.open(marked("oom-always", 2))
        home.done(bad)
        assert bad.error == "ENGINE_NO_MEMORY"
        good = home.open(noise(10, 1))
        home.done(good)
        assert good.error is None


def test_a_budget_that_was_too_large_shrinks_once_for_each_batch() -> None:
    with house(Watched(script={1: "oom"})) as home:
        before = home.scheduler.budget.frames
        caller = home.open(noise(80, 1))
        home.done(caller)
        assert home.scheduler.budget.frames == int(before * 0.6)


@pytest.mark.parametrize("mode", ["nan", "broken"])
def test_a_segment_that_fails_alone_fails_its_own_recording(mode: str) -> None:
    class Broken(Watched):
        def recognise(self, features: list[object], options: object) -> object:  # type: ignore[override]
            if any(getattr(piece, "mode", None) == "garbage" for piece in features):
                raise ValueError("shape")
            return Watched.recognise(self, features, options)  # type: ignore[arg-type]

    backend = Broken() if mode == "broken" else Watched()
    with house(backend) as home:
        good = home.open(noise(40, 1))
        bad = home.open(marked("garbage" if mode == "broken" else mode, 2))
        home.done(good, bad)
        assert (good.error, bad.error) == (None, "ENGINE_FAILED")
        assert good.text == expected_text(noise(40, 1))


def test_a_lost_device_ends_the_process_and_its_batch_is_suspect(tmp_path: Path) -> None:
    class Lost(Watched):
        def recognise(self, features: object, options: object) -> object:  # type: ignore[override]
            raise DeviceLost("CUDA error")

    journal = CrashJournal(tmp_path / "engine.journal")
    journal.open()
    with house(Lost(), Care(journal)) as home:
        home.open(noise(10, 1))
        home.until(lambda: home.endings)
        assert home.endings[0][0] == 70
    later = CrashJournal(tmp_path / "engine.journal")
    later.open()
    piece = Watched().open_stream(RecordingOptions()).feed(noise(10, 1), True)[0]
    assert later.verdict(content_digest(piece.features, fake_model().digest)) == "suspect"


def test_words_that_come_only_in_halves_are_found() -> None:
    pcm = noise(10, 1) + marked("empty-twice", 2) + noise(10, 3)
    canary = Canary()
    with house(Watched(), Care(canary=canary)) as home:
        caller = home.open(pcm)
        home.done(caller)
        assert caller.text == expected_text(pcm)
        assert caller.notices == []
        assert home.thread.figures.rescued == 1
        assert canary.heard == 0


@pytest.mark.parametrize(("seconds", "error"), [(6, None), (10, "TEXT_CUT_OFF")])
def test_half_a_text_is_no_result(seconds: int, error: str | None) -> None:
    """A model that writes may reach its limit: halves of up to 3 s come to their end in the fake, longer ones don't."""
    pcm = (marker("cut") + noise(10, 2))[: seconds * 32_000]
    with house(Watched()) as home:
        mate, caller = home.open(noise(10, 1)), home.open(pcm)
        home.done(mate, caller)
        assert caller.error == error
        assert caller.text == ("" if error else expected_text(pcm))
        assert mate.text == expected_text(noise(10, 1))


def test_words_that_come_only_alone_are_found() -> None:
    backend = Watched(script={1: "empty"})
    with house(backend) as home:
        caller = home.open(noise(40, 1))
        home.done(caller)
        assert all(piece.whole for pieces, _ in backend.seen for piece in pieces), "nothing had to be cut"
        assert caller.text == expected_text(noise(40, 1))
        assert home.thread.figures.rescued == 4


def test_silence_of_the_model_is_believed_after_a_green_canary_and_told() -> None:
    canary = Canary()
    with house(Watched(), Care(canary=canary)) as home:
        caller = home.open(noise(10, 1) + marked("empty", 2) + marked("empty", 3))
        home.done(caller)
        assert caller.text == expected_text(noise(10, 1))
        assert caller.notices == ["SEGMENT_EMPTY"] * 2
        assert canary.heard == 1, "a canary of a moment ago still vouches"
        check = home.thread.figures.canary
        assert check is not None
        assert check.passed
        assert time.time() - check.at < 60


def test_silence_with_a_red_canary_is_never_a_result() -> None:
    with house(Watched(), Care(canary=Canary(red=True))) as home:
        caller = home.open(marked("empty", 2))
        home.until(lambda: home.endings)
        assert home.endings[0][0] == 70
        assert caller.of("segment") == []
        assert caller.of("done") == []
        check = home.thread.figures.canary
        assert check is not None
        assert not check.passed
        assert "other words" in check.reason


def test_a_short_sound_without_words_is_nothing_special() -> None:
    canary = Canary()
    with house(Watched(), Care(canary=canary)) as home:
        caller = home.open((marker("empty") + noise(1, 1))[:32_000])
        home.done(caller)
        assert (caller.notices, canary.heard) == ([], 0)
        assert len(caller.of("segment")) == 1


def test_the_canary_is_heard_when_idle_and_ends_the_process_when_red() -> None:
    canary = Canary()
    with house(Watched(), Care(canary=canary, canary_idle_s=0.01)) as home:
        home.until(lambda: canary.heard >= 2)
        assert home.endings == []
        canary.red = True
        home.until(lambda: home.endings)
        assert home.endings[0][0] == 70


def test_idleness_counts_from_the_last_work() -> None:
    canary = Canary()
    with house(Watched(rtf=0.1), Care(canary=canary, canary_idle_s=4.0)) as home:
        home.done(home.open(noise(30, 1)))
        time.sleep(1.5)
        assert canary.heard == 0, "1.5 s after 3 s of work nothing is idle for 4 s"


def test_a_canary_without_memory_says_nothing() -> None:
    from portal.asr.engine.backend import OutOfMemory

    def canary(backend: Backend) -> bool:
        raise OutOfMemory

    with house(Watched(), Care(canary=canary)) as home:
        caller = home.open(marked("empty", 2))
        home.done(caller)
        assert caller.notices == ["SEGMENT_EMPTY"]
        assert home.endings == []


def test_a_long_rescue_is_no_hang() -> None:
    """The watchdog looks at one step of the models, not at everything that one batch led to."""
    steps: list[float] = []

    class Slow(Watched):
        def recognise(self, features: object, options: object) -> object:  # type: ignore[override]
            steps.append(home.thread.running_s())
            time.sleep(0.1)
            return Watched.recognise(self, features, options)  # type: ignore[arg-type]

    with house(Slow()) as home:
        home.done(home.open(marked("oom-always", 2)))
        assert len(steps) >= 4
        assert max(steps) < 0.09


def test_beats_outside_a_turn_are_no_turn() -> None:
    """A model that says that it goes on while it hears the canary at the start, or in the thread of a change."""

    class Beating(Watched):
        def memory(self) -> Memory:
            pulse.beat()
            return Memory()

    with house(Beating()) as home:
        assert home.thread.running_s() == 0.0
        pulse.beat()
        assert home.thread.running_s() == 0.0


def test_a_canary_that_is_nowhere_to_be_found_says_nothing() -> None:
    heard: list[Backend] = []

    def canary(backend: Backend) -> bool:
        heard.append(backend)
        raise ModelError("MODEL_UNKNOWN", "no registered model has this digest")

    with house(Watched(), Care(canary=canary, canary_idle_s=0.01)) as home:
        home.until(lambda: len(heard) >= 2 or home.endings)
        assert home.endings == []
        assert home.thread.figures.canary is None


def test_a_segment_that_kills_the_last_step_is_suspect(tmp_path: Path) -> None:
    class Lost(Watched):
        def recognise_on_cpu(self, features: object, options: object) -> list[None]:  # type: ignore[override]
            raise DeviceLost("CUDA error")

    journal = CrashJournal(tmp_path / "engine.journal")
    journal.open()
    with house(Lost(), Care(journal)) as home:
        home.open(marked("oom-always", 2))
        home.until(lambda: home.endings)
    later = CrashJournal(tmp_path / "engine.journal")
    later.open()
    piece = Watched().open_stream(RecordingOptions()).feed(marked("oom-always", 2), True)[0]
    assert later.verdict(content_digest(piece.features, fake_model().digest)) == "suspect"


def test_a_text_that_cannot_be_prepared_fails_its_own_recording() -> None:
    class Fussy(Watched):
        def begin_punctuation(self, words: Sequence[str]) -> FakePunctuation:
            if "坏" in words:
                raise ValueError("no such token")
            return Watched.begin_punctuation(self, words)

    with house(Fussy()) as home:
        good, bad = home.open(finish=False), home.open(finish=False)
        home.scheduler.ask_punctuation(bad.recording, 1, ["坏"])
        home.scheduler.ask_punctuation(good.recording, 2, ["好"])
        home.until(lambda: home.endings or (bad.error and good.of("punctuated")))
        assert (home.endings, good.error, bad.error) == ([], None, "ENGINE_FAILED")
