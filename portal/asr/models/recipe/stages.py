"""The stages in order. Each leaves one file in the work folder and is skipped when the file is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from . import (
    cached,
    corpus,
    export,
    train_hotwords,
    train_punctuation,
    train_recognizer,
    train_timestamps,
    train_vad,
    vad_corpus,
)
from .loop import pick_device
from .networks import build_recognizer
from .settings import Settings

NAMES = ("corpus", "recognizer", "times-and-hotwords", "vad", "punctuation", "export")


class Run:
    """One training run: `out` receives seaco/, vad/, punc/ and manifest.json, `work` everything in between."""

    def __init__(self, out: Path, work: Path, device: str, threads: int, settings: Settings) -> None:
        self.out, self.work, self.settings = out, work, settings
        self.device = pick_device(device)
        self.threads = threads
        work.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True

    def do(self, names: tuple[str, ...]) -> None:
        """Run the named stages."""
        actions: dict[str, Callable[[], None]] = {
            "corpus": self.corpus,
            "recognizer": self.recognizer,
            "times-and-hotwords": self.times_and_hotwords,
            "vad": self.vad,
            "punctuation": self.punctuation,
            "export": self.export,
        }
        for name in names:
            print(f"== {name} on {self.device}", flush=True)
            actions[name]()

    def _spare_processes(self) -> int:
        return min(self.threads, os.cpu_count() or 1)

    def corpus(self) -> None:
        """Speech for the recogniser."""
        path = self.work / "corpus.npz"
        if not path.exists():
            corpus.build(path, self.settings, self._spare_processes())

    def recognizer(self) -> None:
        """Encoder, predictor, decoder."""
        path = self.work / "recognizer.pt"
        if path.exists():
            return
        utterances = corpus.load(self.work / "corpus.npz")
        norm = train_recognizer.normalisation(utterances)
        state = train_recognizer.train(utterances, norm, self.work, self.device, self.settings)
        torch.save({"state": state, "norm": norm}, path)

    def times_and_hotwords(self) -> None:
        """The two heads on the frozen recogniser."""
        path = self.work / "seaco.pt"
        if path.exists():
            return
        stored = torch.load(self.work / "recognizer.pt", weights_only=True)
        model = build_recognizer(training=False).to(self.device)
        model.load_state_dict(stored["state"])
        utterances = corpus.load(self.work / "corpus.npz")
        settings = self.settings
        cache = cached.compute(
            model, utterances, stored["norm"], self.device, settings.cached_utterances, settings.seed
        )
        train_timestamps.train(model, cache, self.work, self.device, settings)
        ahead = self.threads - 1 if self.device.type == "cuda" else 0
        train_hotwords.train(model, cache, self.work, self.device, settings, ahead)
        state = {k: v.detach().cpu() for k, v in model.state_dict().items()}
        torch.save({"state": state, "norm": stored["norm"]}, path)

    def vad(self) -> None:
        """Speech or not."""
        path = self.work / "vad.pt"
        if path.exists():
            return
        recordings = self.work / "vad_corpus.npz"
        if not recordings.exists():
            vad_corpus.build(recordings, self.settings, self._spare_processes())
        state, norm = train_vad.train(recordings, self.work, self.device, self.settings)
        torch.save({"state": state, "norm": norm}, path)

    def punctuation(self) -> None:
        """Commas, full stops, question marks."""
        path = self.work / "punctuation.pt"
        if not path.exists():
            torch.save(train_punctuation.train(self.work, self.device, self.settings), path)

    def export(self) -> None:
        """Directories and manifest."""
        seaco = torch.load(self.work / "seaco.pt", weights_only=True)
        export.recognizer(self.out / "seaco", seaco["state"], seaco["norm"])
        detector = torch.load(self.work / "vad.pt", weights_only=True)
        export.vad(self.out / "vad", detector["state"], detector["norm"])
        export.punctuation(self.out / "punc", torch.load(self.work / "punctuation.pt", weights_only=True))
        export.manifest(self.out)
