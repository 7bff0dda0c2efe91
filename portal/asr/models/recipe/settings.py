"""Every number of the training in one place. Steps are counted, never timed, so that a run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Settings:
    """Counts and sizes of one run; `seed` decides all random choices."""

    seed: int = 7
    # corpus
    utterances: int = 24_000
    shard: int = 400  # utterances of one unit of work; part of the seed, so not a matter of how many processes run
    share_of_random_words: float = 0.9
    share_of_non_speech: float = 0.03
    longest: float = 18.0  # s
    # recogniser (stacked frames of 60 ms)
    batch_frames: int = 3_000
    recognizer_steps: int = 8_000
    recognizer_rate: float = 1.5e-3
    # word times and hotwords: utterances with cached encoder output
    cached_utterances: int = 16_000
    timestamp_steps: int = 400
    hotword_steps: int = 8_000
    hotword_batch: int = 48
    hotword_rate: float = 1.6e-3
    # voice activity
    vad_clips: int = 900
    vad_steps: int = 1_500
    # punctuation
    punctuation_sentences: int = 40_000
    punctuation_steps: int = 2_000
    punctuation_free_steps: int = 900
    punctuation_batch: int = 64
    # progress and checkpoints
    report_every: int = 100
    save_every: int = 500


def smoke(settings: Settings) -> Settings:
    """The same run with next to no work, to see that every stage runs."""
    return replace(
        settings,
        utterances=120,
        shard=60,
        recognizer_steps=6,
        batch_frames=600,
        cached_utterances=60,
        timestamp_steps=4,
        hotword_steps=6,
        hotword_batch=8,
        vad_clips=8,
        vad_steps=6,
        punctuation_sentences=300,
        punctuation_steps=6,
        punctuation_free_steps=6,
        punctuation_batch=8,
        report_every=2,
        save_every=3,
    )
