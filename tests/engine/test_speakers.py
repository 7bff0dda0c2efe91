"""CAM++ from a published directory, random weights: prints equal FunASR, known voices are told apart, end to end."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.inference.loading import import_funasr
from portal.asr.engine.inference.speakers import SpeakerModel, cluster
from portal.asr.engine.layouts import SPEAKER_WEIGHTS
from portal.asr.engine.manifest import Registry, inspect
from portal.asr.engine.voices import windows_of
from portal.asr.errors import ModelError
from portal.asr.speakers import label
from portal.asr.types import Sentence
from tests.engine.support import engine, wait_ready

pytestmark = pytest.mark.models

CONFIG = """model: CAMPPlus
model_conf:
    feat_dim: 80
    embedding_size: 192
    growth_rate: 32
    bn_size: 4
    init_channels: 128
    config_str: 'batchnorm-relu'
    memory_efficient: True
    output_level: 'segment'
frontend: WavFrontend
frontend_conf:
    fs: 16000
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published layout; the network has its real size (7 million weights) and random weights."""
    folder = tmp_path_factory.mktemp("speaker") / "speech_campplus_sv_zh-cn_16k-common"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "configuration.json").write_text(
        '{"file_path_metas": {"init_param": "campplus_cn_common.bin", "config": "config.yaml"}}'
    )
    tables = _tables()
    torch.set_num_threads(1)
    torch.manual_seed(5)
    torch.save(tables.model_classes["CAMPPlus"]().state_dict(), folder / SPEAKER_WEIGHTS)
    return folder


def _tables() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return import_funasr(("funasr.models.campplus.cluster_backend", "funasr.models.campplus.model"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SpeakerModel:
    assert inspect(folder)[1].role == "speaker"
    return SpeakerModel.open(folder, "cpu")


def noise(seed: int, length: int = 24_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2_000, length).astype(np.int16)


def test_prints_equal_funasr(model: SpeakerModel) -> None:
    windows = [noise(seed) for seed in range(5)]
    prints = model.embed(windows)
    assert prints.shape == (5, 192)
    assert prints.dtype == np.float32
    for window, own in zip(windows, prints, strict=True):
        sound = torch.from_numpy(window.astype(np.float32) / 32768)
        with torch.no_grad():
            [result], _ = model._model.inference([sound], device="cpu")
        np.testing.assert_allclose(own, result["spk_embedding"][0].numpy(), atol=2e-5)
    assert np.array_equal(model.embed(windows), prints)
    assert np.ptp(prints, axis=0).max() > 1e-3


def test_features_are_kaldis_filter_banks_less_their_mean() -> None:
    """The formula itself, against what FunASR computes without torchaudio: povey window, 80 bands, log power."""
    _tables()
    from funasr.models.campplus.utils import extract_feature

    sound = noise(3).astype(np.float64) / 32768
    frames = np.lib.stride_tricks.sliding_window_view(sound, 400)[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft(frames * window, 512)) ** 2

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log(1 + np.asarray(hertz) / 700)

    edges = np.linspace(mel(20), mel(8_000), 82)
    place = mel(np.arange(257) * 16_000 / 512)
    rising = (place[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - place[None]) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(np.minimum(rising, falling), 0)
    bank[:, -1] = 0
    expected = np.log(np.maximum(power @ bank.T, np.finfo(np.float32).eps))
    features, lengths, _ = extract_feature([torch.from_numpy(sound.astype(np.float32))])
    assert lengths == [148]
    np.testing.assert_allclose(features[0].numpy(), expected - expected.mean(axis=0), atol=2e-2)
    assert np.abs(features[0].numpy() - (expected - expected.mean(axis=0))).mean() < 1e-3


def people(turns: list[int], spread: float = 0.15, seed: int = 1) -> np.ndarray:
    """Prints of people who are known: a direction each, and some noise."""
    dice = np.random.default_rng(seed)
    centres = dice.normal(size=(max(turns) + 1, 192))
    prints = centres[turns] + dice.normal(size=(len(turns), 192)) * spread
    return np.asarray(prints, dtype=np.float32)


def agrees(labels: np.ndarray, turns: list[int]) -> bool:
    """Whether two numberings say the same."""
    pairs = set(zip(labels.tolist(), turns, strict=True))
    return len(pairs) == len(set(turns)) == len(set(labels.tolist()))


TURNS = ([0] * 20 + [1] * 15 + [0] * 10 + [2] * 25) * 2


@pytest.mark.parametrize(
    ("turns", "count"),
    [
        (TURNS, 3),
        (TURNS, None),
        ([0] * 12 + [1] * 13, None),
        ([0, 0, 1, 1, 1, 0], 2),
        (TURNS * 16, None),
        (TURNS * 16, 3),
        ([0] * 30, 1),
    ],
)
def test_known_people_are_told_apart_the_same_each_time(turns: list[int], count: int | None) -> None:
    prints = people(turns)
    labels = cluster(prints, count)
    assert len(labels) == len(turns)
    assert agrees(labels, turns)
    assert np.array_equal(cluster(prints, count), labels)


def test_little_speech_of_an_unknown_number_is_one_person_as_in_funasr() -> None:
    assert set(cluster(people([0] * 9 + [1] * 10), None).tolist()) == {0}
    assert len(cluster(people([0]), None)) == len(cluster(people([0]), 5)) == 1


def test_more_people_than_windows_is_no_error() -> None:
    assert len(cluster(people([0, 1, 2]), 20)) == 3


def test_spans_follow_the_known_turns_of_a_conversation(model: SpeakerModel) -> None:
    """Known prints in place of the network's: spans and sentences must say who really spoke."""
    speech = [(0, 20_000, 1), (21_000, 40_000, 0), (41_000, 55_000, 1), (56_000, 70_000, 2)]
    windows = [(window, who) for begin, end, who in speech for window in windows_of(begin, end)]
    prints = people([who for _, who in windows])
    for count in (3, None):
        spans = model.group([window for window, _ in windows], prints, count)
        said = [Sentence("话", begin + 100, begin + 4_000, ()) for begin, _, _ in speech]
        assert [sentence.speaker for sentence in label(said, spans)] == ["1", "2", "1", "3"]
        for begin, end, _ in speech:
            covered = sum(max(0, min(e, end) - max(b, begin)) for b, e, _ in spans)
            assert covered >= 0.98 * (end - begin)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert model.group([(0, 1_500)], prints[:1], None) == [(0, 1_500, 0)]


def test_smoothing_is_funasrs(model: SpeakerModel) -> None:
    _tables()
    from funasr.models.campplus.utils import postprocess

    windows = windows_of(0, 30_000) + windows_of(31_000, 50_000)
    turns = [index // 7 % 3 for index in range(len(windows))]
    prints = people(turns)
    theirs = postprocess([[b / 1000, e / 1000] for b, e in windows], None, cluster(prints, 3), prints)
    assert model.group(windows, prints, 3) == [(round(b * 1000), round(e * 1000), int(n)) for b, e, n in theirs]


@pytest.mark.parametrize("line", ["feat_dim: 40", "output_level: 'frame'"])
def test_other_networks_are_refused(folder: Path, tmp_path: Path, line: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    name = line.split(":")[0]
    text = "".join(line + "\n" if name in row else row for row in CONFIG.splitlines(keepends=True))
    (copy / "config.yaml").write_text(text.replace(line, "    " + line))
    with pytest.raises(ModelError) as error:
        SpeakerModel.open(copy, "cpu")
    assert error.value.code == "MODEL_FAMILY_REFUSED"


def test_the_engine_tells_speakers_end_to_end(
    folder: Path, model_arguments: list[str], tmp_path: Path, speech: bytes
) -> None:
    registry = Path(model_arguments[model_arguments.index("--installed") + 1])
    directory, manifest = inspect(folder)
    Registry(registry).record(directory, manifest, "2026-01-01T00:00:00+00:00")
    with engine("server", tmp_path, [*model_arguments, "--speaker", str(folder)]) as running:
        wait_ready(running, 120)
        assert "speakers" in running.client.status().capabilities
        heard: list[list[tuple[int, int, int]]] = []
        for options in (
            RecordingOptions(speakers=True, speaker_count=2),
            RecordingOptions(speakers=True, speaker_count=2),
            RecordingOptions(),
        ):
            with running.client.open(options=options) as recording:
                for start in range(0, len(speech), 100_000):
                    recording.push(speech[start : start + 100_000])
                recording.finish()
                segments = list(recording.results())
                heard.append(recording.speakers)
        first, again, unasked = heard
        assert unasked == []
        assert first == again
        assert {number for _, _, number in first} <= {0, 1}
        total = sum(segment.end_ms - segment.begin_ms for segment in segments)
        covered = sum(
            max(0, min(end, segment.end_ms) - max(begin, segment.begin_ms))
            for segment in segments
            for begin, end, _ in first
        )
        assert covered >= 0.97 * total
        assert all(begin < end <= len(speech) // 32 for begin, end, _ in first)


def test_the_engine_refuses_another_model_in_its_place(model_arguments: list[str], tmp_path: Path) -> None:
    vad = model_arguments[model_arguments.index("--vad") + 1]
    with engine("server", tmp_path, [*model_arguments, "--speaker", vad]) as running:
        assert running.process.wait(30) == 2
        assert "MODEL_FAMILY_REFUSED" in running.log.read_text()
