"""The shipped voice-activity network on real sound: FunASR's spans, however many recordings are heard together."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portal.asr.engine.backend import Speech
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.inference.loading import import_funasr, load
from portal.asr.engine.inference.vad import VadModel, decibels
from tests.engine.counting import Waits

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def vad(models: Path) -> VadModel:
    """The shipped network as the engine loads it."""
    return VadModel(load(models / "vad", "cpu"), 6, "cpu")


@pytest.fixture(scope="module")
def reference(models: Path) -> Any:
    """FunASR's AutoModel of the same network alone."""
    import importlib

    import_funasr()
    importlib.import_module("funasr.frontends.wav_frontend")
    from funasr.auto.auto_model import AutoModel

    with contextlib.redirect_stdout(io.StringIO()):
        return AutoModel(
            model=str((models / "vad").resolve()), device="cpu", disable_update=True, disable_pbar=True, ncpu=1
        )


@pytest.fixture(scope="module")
def meeting(utterances: list[np.ndarray]) -> np.ndarray:
    """Two and a half minutes: speech with pauses of 0.05 to 4 s, one stretch of 25 s without any."""
    source = np.random.default_rng(11)
    parts: list[np.ndarray] = []
    total = 0
    for number in range(200):
        sound = utterances[number % 4]
        flowing = 20 <= number < 28
        pause = 0 if flowing else int(source.choice([0.05, 0.3, 0.9, 1.7, 4.0]) * 16_000)
        parts += [sound[7_000:-7_500] if flowing else sound, source.normal(0, 6, pause).astype("<i2")]
        total += len(parts[-1]) + len(parts[-2])
        if total > 150 * 16_000:
            break
    return np.concatenate(parts)[: 150 * 16_000]


def spans_by_funasr(reference: Any, sound: np.ndarray, **request: Any) -> list[tuple[int, int]]:
    with contextlib.redirect_stdout(io.StringIO()):
        [result] = reference.generate(input=sound.astype(np.float32) / 32768.0, **request)
    return [(begin, end) for begin, end in result["value"]]


def hear(vad: VadModel, sound: np.ndarray, options: RecordingOptions, step: int = 10**9) -> list[Speech]:
    stream = vad.open(options)
    found: list[Speech] = []
    for start in range(0, max(len(sound), 1), step):
        final = start + step >= len(sound)
        [speech] = vad.hear([(stream, sound[start : start + step].astype("<i2").tobytes(), final)])
        found += speech
    return found


def spans(speech: list[Speech]) -> list[tuple[int, int]]:
    return [(found.begin_ms, found.end_ms) for found in speech]


@pytest.mark.parametrize("end_silence", [None, 200, 800, 3_000])
@pytest.mark.parametrize("seconds", [7.3, 59.99, 60.0, 61.0, 120.0, 150.0])
def test_spans_equal_funasr(
    vad: VadModel, reference: Any, meeting: np.ndarray, seconds: float, end_silence: int | None
) -> None:
    sound = meeting[: int(seconds * 16_000)]
    request: dict[str, Any] = {} if end_silence is None else {"max_end_silence_time": end_silence}
    expected = spans_by_funasr(reference, sound, **request)
    options = RecordingOptions(max_segment_ms=60_000, end_silence_ms=end_silence)
    assert spans(hear(vad, sound, options)) == expected
    assert spans(hear(vad, sound, options, step=37_777)) == expected
    assert expected


def test_the_threshold_of_a_request_counts(vad: VadModel, reference: Any, meeting: np.ndarray) -> None:
    sound = meeting[: 40 * 16_000]
    found = []
    for threshold in (0.1, 0.95):
        expected = spans_by_funasr(reference, sound, max_end_silence_time=200, speech_noise_thres=threshold)
        options = RecordingOptions(max_segment_ms=60_000, end_silence_ms=200, speech_threshold=threshold)
        assert spans(hear(vad, sound, options)) == expected
        found.append(expected)
    assert found[0] != found[1]


def test_levels_are_those_of_funasr(vad: VadModel, reference: Any, meeting: np.ndarray) -> None:
    from funasr.models.fsmn_vad_streaming.model import FsmnVADStreaming

    sound = meeting[:50_000]
    cache: dict[str, Any] = {}
    machine = reference.model
    assert isinstance(machine, FsmnVADStreaming)
    machine.init_cache(cache)
    import torch

    used = sound[: (len(sound) - 400) // 160 * 160 + 400]
    cache["stats"].waveform = torch.from_numpy(used.astype(np.float32) / 32768.0)[None]
    machine.ComputeDecibel(cache=cache)
    assert decibels(used).tolist() == cache["stats"].decibel


def test_several_recordings_are_heard_in_one_pass_with_one_copy(vad: VadModel, meeting: np.ndarray) -> None:
    """Pieces of different lengths, an empty one among them, then their ends: as if each had been alone."""
    sounds = [meeting[offset : offset + size] for offset, size in ((0, 960_000), (500_000, 700_123), (9, 48_000))]
    sounds.append(np.zeros(0, dtype=np.int16))
    options = RecordingOptions(end_silence_ms=None)
    alone = [hear(vad, sound, options) for sound in sounds]
    streams = [vad.open(options) for _ in sounds]
    together: list[list[Speech]] = [[] for _ in sounds]
    for begin, end in ((0, 300_000), (300_000, 10**9)):
        with Waits() as waits:
            found = vad.hear(
                [
                    (stream, sound[begin:end].astype("<i2").tobytes(), end == 10**9)
                    for stream, sound in zip(streams, sounds, strict=True)
                ]
            )
        assert waits.found == {"cpu": 1}
        for known, new in zip(together, found, strict=True):
            known += new
    assert [spans(found) for found in together] == [spans(found) for found in alone]
    for mixed, single in zip(together, alone, strict=True):
        for one, other in zip(mixed, single, strict=True):
            assert np.array_equal(one.features, other.features)


def test_one_copy_to_the_host_for_each_minute(vad: VadModel, meeting: np.ndarray) -> None:
    stream = vad.open(RecordingOptions(end_silence_ms=None))
    for minute in range(3):
        piece = meeting[minute * 960_000 : (minute + 1) * 960_000]
        with Waits() as waits:
            vad.hear([(stream, piece.astype("<i2").tobytes(), minute == 2)])
        assert waits.found == {"cpu": 1}


def test_a_failed_pass_has_taken_nothing(vad: VadModel, meeting: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = meeting[: 20 * 16_000]
    options = RecordingOptions(end_silence_ms=800)
    expected = spans(hear(vad, sound, options))
    stream = vad.open(options)
    pieces = [sound[:111_111].astype("<i2").tobytes(), sound[111_111:].astype("<i2").tobytes()]
    found: list[Speech] = []
    for number, pcm in enumerate(pieces):
        with monkeypatch.context() as patch:
            patch.setattr(vad.scorer, "_encoder", None)
            with pytest.raises(AttributeError):
                vad.hear([(stream, pcm, number == 1)])
        found += vad.hear([(stream, pcm, number == 1)])[0]
    assert spans(found) == expected


@pytest.mark.parametrize("samples", [0, 1, 159, 399, 400, 401, 559, 560, 1_000, 2_399, 2_400])
def test_a_breath_of_sound_is_no_error(vad: VadModel, samples: int) -> None:
    for sound in (np.zeros(samples), np.random.default_rng(1).normal(0, 9_000, samples)):
        assert hear(vad, sound, RecordingOptions(end_silence_ms=None)) == []


def test_an_odd_byte_is_left_out(vad: VadModel, meeting: np.ndarray) -> None:
    pcm = meeting[: 10 * 16_000].astype("<i2").tobytes()
    [whole] = vad.hear([(vad.open(RecordingOptions()), pcm, True)])
    [odd] = vad.hear([(vad.open(RecordingOptions()), pcm + b"\x01", True)])
    assert spans(odd) == spans(whole)


def test_a_minute_without_a_pause_is_cut(vad: VadModel, utterances: list[np.ndarray]) -> None:
    flow = np.concatenate([sound[8_000:-8_200] for sound in utterances] * 12)[: 60 * 16_000]
    for longest in (5_000, 20_000, 60_000):
        found = hear(vad, flow, RecordingOptions(max_segment_ms=longest, end_silence_ms=None))
        assert max(end - begin for begin, end in spans(found)) <= longest
        assert sum(end - begin for begin, end in spans(found)) > 55_000


def test_a_network_that_looks_ahead_is_refused(vad: VadModel, models: Path) -> None:
    from portal.asr.engine.inference.fsmn import FsmnScorer
    from portal.asr.errors import ModelError

    loaded = load(models / "vad", "cpu")
    loaded.model.encoder.fsmn[0].rorder = 1
    with pytest.raises(ModelError) as refused:
        FsmnScorer(loaded.model.encoder, [0], "cpu")
    assert refused.value.code == "MODEL_FAMILY_REFUSED"
