"""The speech corpus: sentences spoken by many processes, kept as filterbanks with token onsets."""

from __future__ import annotations

import json
import multiprocessing
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import augment, features, held_out, text
from .settings import Settings
from .synthesis import RATE, random_style, speak


@dataclass
class Utterance:
    """`frames`: (T, 80) filterbanks; `tokens`: ids; `onsets`: s, one per token. All NumPy."""

    text: str
    tokens: NDArray[np.int64]
    onsets: NDArray[np.float32]
    frames: NDArray[np.float16]

    @property
    def low_rate_frames(self) -> int:
        """Frames that the recogniser sees."""
        return features.stacked_length(len(self.frames))


def spoken_texts(rng: random.Random, settings: Settings) -> list[str]:
    """The sentences of one utterance: mostly one, short ones joined, one in six with several."""
    sentences = [text.sentence(rng, settings.share_of_random_words)]
    if rng.random() < 0.16:
        sentences += [text.sentence(rng, settings.share_of_random_words) for _ in range(rng.randint(1, 2))]
    elif len(sentences[0]) < 12 and rng.random() < 0.5:
        sentences[0] += text.sentence(rng, settings.share_of_random_words)
    return sentences


def _speak_all(sentences: list[str], rng: random.Random) -> tuple[NDArray[np.float32], list[float]] | None:
    """Sentences in one voice with pauses between; samples and onsets, or None if an onset is missing."""
    style = random_style(rng)
    parts: list[NDArray[np.float32]] = []
    onsets: list[float] = []
    position = 0
    for index, sentence in enumerate(sentences):
        speech = speak(sentence, **style)
        if speech.onsets is None or len(speech.onsets) != len(text.tokens(sentence)):
            return None
        pause = np.zeros(int(rng.uniform(0.05, 1.0) * RATE) if index else 0, np.float32)
        onsets += [t + (position + len(pause)) / RATE for t in speech.onsets]
        parts += [pause, speech.samples]
        position += len(pause) + len(speech.samples)
    return np.concatenate(parts), onsets


def _make_shard(job: tuple[int, int, Settings]) -> list[dict[str, Any]]:
    """One shard as plain dictionaries (pickled back to the parent)."""
    number, count, settings = job
    rng = random.Random(f"{settings.seed}/corpus/{number}")
    noise = np.random.default_rng([settings.seed, 1, number])
    ids = {token: index for index, token in enumerate(text.vocabulary())}
    made: list[dict[str, Any]] = []
    while len(made) < count:
        if rng.random() < settings.share_of_non_speech:
            clip = augment.non_speech(noise)
            empty = np.zeros(0)
            made.append({"text": "", "tokens": empty, "onsets": empty, "frames": features.filterbank(clip)})
            continue
        sentences = spoken_texts(rng, settings)
        assert not any(held_out.is_held_out(s) for s in sentences), "a held-out text must not be trained on"
        spoken = _speak_all(sentences, rng)
        if spoken is None or not RATE // 5 < len(spoken[0]) < settings.longest * RATE:
            continue
        samples, shift = augment.surroundings(noise, spoken[0])
        whole = "".join(sentences)
        made.append(
            {
                "text": whole,
                "tokens": np.array([ids[c] for c in text.tokens(whole)]),
                "onsets": np.array(spoken[1]) + shift,
                "frames": features.filterbank(samples),
            }
        )
    for item in made:
        item["frames"] = item["frames"].astype(np.float16)
    return made


def build(path: Path, settings: Settings, processes: int) -> None:
    """Synthesise the corpus into one .npz file; the content does not depend on `processes`."""
    counts = [settings.shard] * (settings.utterances // settings.shard)
    jobs = [(number, count, settings) for number, count in enumerate(counts)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        items = [item for shard in pool.imap(_make_shard, jobs) for item in shard]
    temporary = path.with_suffix(".part.npz")
    np.savez(
        temporary,
        frames=np.concatenate([i["frames"] for i in items]),
        frame_counts=np.array([len(i["frames"]) for i in items]),
        tokens=np.concatenate([i["tokens"] for i in items]).astype(np.int64),
        token_counts=np.array([len(i["tokens"]) for i in items]),
        onsets=np.concatenate([i["onsets"] for i in items]).astype(np.float32),
        texts=np.array(json.dumps([i["text"] for i in items], ensure_ascii=False)),
    )
    temporary.replace(path)
    hours = sum(len(i["frames"]) for i in items) * features.FRAME / 3600
    print(f"corpus: {len(items)} utterances, {hours:.1f} h")


def load(path: Path) -> list[Utterance]:
    """The corpus of `build`."""
    with np.load(path) as stored:
        data = {name: stored[name] for name in stored.files}
    frame_ends, token_ends = np.cumsum(data["frame_counts"]), np.cumsum(data["token_counts"])
    texts = json.loads(str(data["texts"]))
    out = []
    for index, spoken in enumerate(texts):
        frames = slice(frame_ends[index] - data["frame_counts"][index], frame_ends[index])
        tokens = slice(token_ends[index] - data["token_counts"][index], token_ends[index])
        out.append(Utterance(spoken, data["tokens"][tokens], data["onsets"][tokens], data["frames"][frames]))
    return out
