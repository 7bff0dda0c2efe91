"""The last hour in minutes: nothing older counts, nothing grows."""

from __future__ import annotations

from portal.asr.engine.figures import Figures, Hour


def test_the_hour_forgets_what_is_older() -> None:
    now = [0.0]
    hour = Hour(lambda: now[0])
    for minute in range(180):
        now[0] = minute * 60.0
        hour.add(audio_s=10.0, busy_s=1.0)
        hour.add(audio_s=5.0)
    assert hour.totals() == (900.0, 60.0)
    now[0] += 30 * 60
    assert hour.totals() == (450.0, 30.0)
    now[0] += 3_600
    assert hour.totals() == (0.0, 0.0)


def test_a_clock_that_starts_at_zero_counts_once() -> None:
    hour = Hour(lambda: 0.0)
    hour.add(audio_s=1.0)
    assert hour.totals() == (1.0, 0.0)


def test_frames_of_speech_and_computed_ones() -> None:
    figures = Figures()
    figures.ran([100, 90, 80])
    figures.ran([50])
    assert (figures.batches, figures.useful_frames, figures.computed_frames) == (2, 320, 350)
