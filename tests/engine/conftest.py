"""One real engine for the whole suite, and speech for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from portal.asr.engine.manifest import Registry, inspect
from tests.engine.support import MODELS, Running, engine, has_espeak, speak, wait_ready

SENTENCES = (
    ("大家好，今天下午我们讨论数据仓库项目的进展。", "cmn-latn-pinyin"),
    ("请王伟在周五之前把报告发给客户。", "cmn-latn-pinyin+f2"),
    ("好的", "cmn-latn-pinyin+m3"),
    ("我们需要检查系统的接口，然后安排下一次会议。", "cmn-latn-pinyin+m1"),
)


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder that holds seaco/, vad/ and punc/."""
    if not (MODELS / "seaco" / "model.pt").exists():
        pytest.skip(f"no models in {MODELS}")
    return MODELS


@pytest.fixture(scope="session")
def model_arguments(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of the server for these models, with a registry that knows them."""
    registry = tmp_path_factory.mktemp("registry") / "installed.json"
    arguments = ["--threads", "1", "--installed", str(registry)]
    for name, option in (("seaco", "--asr"), ("vad", "--vad"), ("punc", "--punc")):
        folder, manifest = inspect(models / name)
        Registry(registry).record(folder, manifest, "2026-01-01T00:00:00+00:00")
        arguments += [option, str(models / name)]
    return arguments


@pytest.fixture(scope="session")
def real(model_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The engine with the real models."""
    with engine("server", tmp_path_factory.mktemp("real"), model_arguments) as running:
        wait_ready(running, 120)
        yield running


@pytest.fixture(scope="session")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Four spoken sentences, int16 at 16 kHz."""
    if not has_espeak():
        pytest.skip("espeak-ng is not installed")
    folder = tmp_path_factory.mktemp("speech")
    return [speak(text, folder, voice) for text, voice in SENTENCES]


@pytest.fixture(scope="session")
def speech(utterances: list[np.ndarray]) -> bytes:
    """The sentences after one another with pauses: about 25 s."""
    noise = np.random.default_rng(3)
    parts = [part for sound in utterances for part in (sound, noise.normal(0, 6, 24_000).astype("<i2"))]
    return np.concatenate(parts).tobytes()
