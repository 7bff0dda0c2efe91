"""What pages may offer: the engines' last word, never a wait, never a guess once something is known."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from portal.asr.engine.address import EngineAddress
from portal.asr.engine.contract import EngineStatus, Memory
from portal.asr.errors import EngineUnavailable
from portal.asr.types import ModelInfo
from portal.services.recognition import capabilities
from portal.services.recognition.capabilities import FRESH_S, Abilities, Watch, common

HERE, THERE = EngineAddress(path=Path("/nowhere/1")), EngineAddress(path=Path("/nowhere/2"))
MODEL = ModelInfo("fake", "Fake", "0" * 64, "cpu")


def status(*able: str, languages: tuple[str, ...] = ()) -> EngineStatus:
    """An engine that can do this."""
    return EngineStatus(
        ready=True, state="ready", device="cpu", device_name="", banner=None, model=MODEL,
        capabilities=frozenset(able), memory=Memory(), rss_bytes=0, running_recordings=0, queued_segments=0,
        uptime_s=1.0, audio_seconds_done=0.0, busy_seconds=0.0, utilisation_percent=None, temperature_c=None,
        batches=0, oom_count=0, languages=languages,
    )  # fmt: skip


def settled(watch: Watch, wanted: Abilities) -> Abilities:
    """What the watch says once its thread has looked."""
    for _ in range(200):
        if watch.now() == wanted:
            break
        time.sleep(0.01)
    return watch.now()


def test_several_engines_offer_what_all_can_do() -> None:
    both = common(
        [
            status("hotwords", "language_choice", languages=("zh", "en", "ja")),
            status("language_choice", "speakers", languages=("ja", "zh")),
            replace(status(), state="loading"),
        ]
    )
    assert both == Abilities(frozenset({"language_choice"}), ("zh", "ja"), known=True)
    assert both.choices_of_language == ("zh", "ja")
    assert not both.hotwords
    assert common([replace(status(), state="loading")]) is None


def test_an_engine_that_is_away_leaves_its_last_word() -> None:
    clock, answers = [0.0], {HERE: status("speakers")}

    def ask(address: EngineAddress) -> EngineStatus:
        if address not in answers:
            raise EngineUnavailable
        return answers[address]

    watch = Watch([HERE, THERE], ask, clock=lambda: clock[0])
    first = watch.now()
    assert first.known
    assert first.speakers
    del answers[HERE]
    clock[0] += FRESH_S
    assert settled(watch, first) == first
    answers[THERE] = status("hotwords")
    clock[0] += FRESH_S
    assert settled(watch, Abilities(frozenset({"hotwords"}), (), known=True)).hotwords


def test_asked_once_while_fresh_and_never_waited_for_long() -> None:
    release, asked = threading.Event(), list[float]()

    def ask(address: EngineAddress) -> EngineStatus:
        asked.append(time.monotonic())
        release.wait(10)
        return status("speakers")

    watch = Watch([HERE], ask)
    began = time.monotonic()
    unknown = watch.now()
    assert time.monotonic() - began < 1.0
    assert not unknown.known
    assert unknown.hotwords
    assert not unknown.speakers
    assert unknown.choices_of_language == ()
    release.set()
    assert settled(watch, Abilities(frozenset({"speakers"}), (), known=True)).speakers
    for _ in range(50):
        watch.now()
    assert len(asked) == 1


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(address: EngineAddress) -> EngineStatus:
        raise EngineUnavailable

    assert Watch([HERE], ask).now() == Abilities()
    assert capabilities.PATIENCE_S < 1
