"""The steps against lack of memory with the shipped models: halves at a pause, and the copy on the CPU."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portal.asr.engine.backend import Backend, BatchOptions, Heard, OutOfMemory, Recognised, Speech
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.manifest import inspect
from portal.asr.engine.model_thread import Care
from portal.asr.engine.splitting import joined
from tests.engine.in_process import house

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def real_models(models: Path) -> Backend:
    from portal.asr.engine.inference.models import FunasrModels

    _, manifest = inspect(models / "seaco")
    return FunasrModels(
        models / "seaco", models / "vad", models / "punc", device="cpu", threads=1, model=manifest.info()
    )


def text(result: Recognised | None) -> str:
    assert result is not None
    return "".join(word.text for word in result.words)


def spoken(backend: Backend, speech: bytes) -> list[Speech]:
    patient = RecordingOptions(end_silence_ms=3_000)
    return backend.hear([Heard(backend.open_stream(patient), speech, True)])[0]


def test_halves_say_what_the_whole_says(real_models: Backend, utterances: list[np.ndarray]) -> None:
    """Two sentences with a pause of 0.4 s between them in one segment: cut there, hardly a word is lost."""
    pause = np.random.default_rng(1).normal(0, 6, 6_400).astype("<i2")
    pcm = np.concatenate([utterances[0][8_000:-8_000], pause, utterances[3][8_000:-8_000], np.zeros(16_000, "<i2")])
    [segment] = spoken(real_models, pcm.astype("<i2").tobytes())
    parts = real_models.halve(segment)
    assert parts is not None
    border = (len(utterances[0]) - 16_000) / 16 - segment.begin_ms
    assert border - 100 <= parts[1].begin_ms - segment.begin_ms <= border + 500
    options = BatchOptions()
    [whole] = real_models.recognise([segment.features], options)
    halves = [real_models.recognise([part.features], options)[0] for part in parts]
    assert None not in halves
    rejoined = joined(parts, [half for half in halves if half is not None])
    assert difflib.SequenceMatcher(None, text(whole), text(rejoined), autojunk=False).ratio() >= 0.9
    times = [word.begin_ms for word in rejoined.words]
    assert times == sorted(times)


class Starved:
    """The real models on a pretended device that never has memory for recognition."""

    def __init__(self, real: Any, folder: Path) -> None:
        self._real = real
        self._folder = folder
        self.tried = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def recognise(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        self.tried += 1
        raise OutOfMemory

    def recognise_on_cpu(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        found: list[Recognised | None] = self._real._spare.family().recognise(features, options)
        return found


def test_a_device_without_any_memory_ends_with_the_same_words(real_models: Any, models: Path, speech: bytes) -> None:
    expected = [real_models.recognise([one.features], BatchOptions())[0] for one in spoken(real_models, speech)]
    with house(Starved(real_models, models), Care()) as home:  # type: ignore[arg-type]
        caller = home.open(speech, end_silence_ms=3_000)
        home.until(lambda: caller.of("done") or caller.of("error"), 60)
        assert caller.error is None
        assert caller.text == "".join(text(one) for one in expected)
        assert caller.notices == ["OOM_CPU"] * len(expected)
        assert home.thread.figures.cpu_segments == len(expected)


def test_on_a_cpu_there_is_nothing_to_turn_to(real_models: Backend) -> None:
    with pytest.raises(OutOfMemory):
        real_models.recognise_on_cpu([np.zeros((100, 80), dtype=np.float32)], BatchOptions())


def test_files_that_changed_meanwhile_are_not_loaded(tmp_path: Path) -> None:
    from portal.asr.engine.inference.spare import Spare

    weights = tmp_path / "model.pt"
    weights.write_bytes(b"one")
    loaded: list[object] = []

    def load() -> Any:
        loaded.append(object())
        return loaded[-1]

    spare = Spare(tmp_path, load)
    spare.family()
    weights.write_bytes(b"another")
    with pytest.raises(RuntimeError, match="changed"):
        spare.family()
    assert len(loaded) == 1


def test_the_copy_is_loaded_once_until_it_is_forgotten(tmp_path: Path) -> None:
    from portal.asr.engine.inference.spare import Spare

    (tmp_path / "model.pt").write_bytes(b"one")
    loaded: list[object] = []

    def load() -> Any:
        loaded.append(object())
        return loaded[-1]

    spare = Spare(tmp_path, load)
    assert spare.family() is spare.family()
    spare.forget()
    spare.family()
    assert len(loaded) == 2
