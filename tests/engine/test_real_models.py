"""The engine with real weights: equal to FunASR segment by segment, and independent of who shares the batch."""

from __future__ import annotations

import contextlib
import importlib
import io
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from portal.asr.engine.backend import BatchOptions, Heard, Speech
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.manifest import manifest_for, verify
from portal.asr.types import ModelInfo, Segment
from tests.engine.support import REPOSITORY, Running, engine, recognise, text_of, wait_ready

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def reference(models: Path) -> Any:
    """FunASR's own AutoModel over the same recognition model."""
    return auto_model(models / "seaco")


def auto_model(folder: Path) -> Any:
    """FunASR's own loader, over the few of its modules that these models need (the package imports all of itself)."""
    from portal.asr.engine.inference.loading import import_funasr

    import_funasr()
    for name in ("funasr.tokenizer.char_tokenizer", "funasr.frontends.wav_frontend", "funasr.models.specaug.specaug"):
        importlib.import_module(name)
    from funasr.auto.auto_model import AutoModel

    with contextlib.redirect_stdout(io.StringIO()):
        return AutoModel(model=str(folder.resolve()), device="cpu", disable_update=True, disable_pbar=True, ncpu=1)


def by_funasr(reference: Any, pcm: bytes, segment: Segment, hotword: str | None) -> tuple[list[str], list[list[int]]]:
    """Text and times of one segment alone, by AutoModel."""
    samples = np.frombuffer(pcm, dtype="<i2")[segment.begin_ms * 16 : segment.end_ms * 16]
    with contextlib.redirect_stdout(io.StringIO()):
        [result] = reference.generate(input=samples.astype(np.float32) / 32768.0, hotword=hotword)
    times = [[max(b, 0) + segment.begin_ms, e + segment.begin_ms] for b, e in result["timestamp"]]
    return result["text"].split(), times


@pytest.mark.parametrize("hotwords", [(), ("王玮", "数据仓库", "API")])
def test_text_and_times_equal_funasr_alone(
    real: Running, reference: Any, speech: bytes, hotwords: tuple[str, ...]
) -> None:
    segments = recognise(real.client, speech, hotwords)
    assert len(segments) >= 3
    for segment in segments:
        words, times = by_funasr(reference, speech, segment, " ".join(hotwords) or None)
        assert [word.text for word in segment.words] == words
        assert [[word.begin_ms, word.end_ms] for word in segment.words] == times


def test_more_than_fifty_hotwords_equal_funasr_alone(real: Running, reference: Any, speech: bytes) -> None:
    hotwords = tuple(f"{a}{b}" for a in "王李张陈刘杨黄赵" for b in "伟芳敏静丽强磊军")
    assert len(hotwords) > 50
    segments = recognise(real.client, speech, hotwords)
    for segment in segments:
        assert [w.text for w in segment.words] == by_funasr(reference, speech, segment, " ".join(hotwords))[0]


def test_results_do_not_depend_on_pieces_or_batch_mates(real: Running, speech: bytes) -> None:
    alone = recognise(real.client, speech)
    outcome: list[list[Segment]] = []
    other = np.roll(np.frombuffer(speech, dtype="<i2"), 70_000).tobytes()
    threads = [threading.Thread(target=lambda: outcome.append(recognise(real.client, speech, step=64_000)))]
    threads += [threading.Thread(target=recognise, args=(real.client, other)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [(s.begin_ms, s.end_ms) for s in outcome[0]] == [(s.begin_ms, s.end_ms) for s in alone]
    for mixed, single in zip(outcome[0], alone, strict=True):
        assert [(w.text, w.begin_ms, w.end_ms) for w in mixed.words] == [
            (w.text, w.begin_ms, w.end_ms) for w in single.words
        ]


def test_confidence_is_a_probability_and_times_lie_in_the_segment(real: Running, speech: bytes) -> None:
    for segment in recognise(real.client, speech):
        for word in segment.words:
            assert word.confidence is not None
            assert 0.0 < word.confidence <= 1.0
            assert segment.begin_ms <= word.begin_ms <= word.end_ms <= segment.end_ms


def test_two_hotword_lists_alternate_without_mixing(real: Running, speech: bytes) -> None:
    lists = [("王玮",), (), ("数据苍库",)]
    alone = [text_of(recognise(real.client, speech, hotwords)) for hotwords in lists]
    seen: list[tuple[int, str]] = []

    def run(index: int) -> None:
        for _ in range(3):
            seen.append((index, text_of(recognise(real.client, speech, lists[index]))))

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(lists))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 9
    assert all(text == alone[index] for index, text in seen)


def test_noise_and_silence_give_no_words(real: Running) -> None:
    hiss = np.random.default_rng(1).normal(0, 900, 16_000 * 6).astype("<i2").tobytes()
    assert text_of(recognise(real.client, bytes(32_000 * 5))) == ""
    assert text_of(recognise(real.client, hiss)) == ""
    assert recognise(real.client, bytes(200)) == []


def test_an_empty_segment_does_not_empty_the_others(real: Running, speech: bytes) -> None:
    burst = np.random.default_rng(5).normal(0, 6_000, 16_000).astype("<i2").tobytes()
    quiet = bytes(32_000 * 3)
    assert text_of(recognise(real.client, burst + quiet + speech)).endswith(
        text_of(recognise(real.client, speech))[-6:]
    )


def test_punctuation_equals_funasr(real: Running, models: Path, speech: bytes) -> None:
    punctuator = auto_model(models / "punc")
    words = [w.text for s in recognise(real.client, speech) for w in s.words] * 6
    words = [word for word in words if not word.isascii()]
    with contextlib.redirect_stdout(io.StringIO()):
        [expected] = punctuator.generate(input=" ".join(words))
    with real.client.open(options=RecordingOptions()) as recording:
        marks = recording.punctuate(words)
    assert "".join(word + mark for word, mark in zip(words, marks, strict=True)) == expected["text"]


def test_long_speech_is_cut_at_thirty_seconds(real: Running, utterances: list[np.ndarray]) -> None:
    # without pauses: the trimmed utterances touch one another
    flow = np.concatenate([sound[7_000:-8_000] for sound in utterances] * 10).tobytes()
    segments = recognise(real.client, flow)
    assert max(s.end_ms - s.begin_ms for s in segments) <= 30_000
    assert len(flow) / 32_000 > 60


def test_status_says_what_serves(real: Running) -> None:
    status = real.client.status()
    assert status.capabilities == {"hotwords", "hotword_weight", "word_times", "punctuation"}
    assert status.model.family == "SeacoParaformer"
    assert (status.device, status.banner) in {("cpu", "CPU_FALLBACK"), ("cuda", None), ("mps", None)}
    assert status.batches > 0
    cleared = real.client.clear_cache()
    assert cleared.before_bytes > 0
    assert cleared.after_bytes > 0


def test_the_log_holds_no_text_and_no_hotword(real: Running, speech: bytes) -> None:
    text = text_of(recognise(real.client, speech, ("达摩院",)))
    log = real.log.read_text()
    assert "达摩院" not in log
    assert text[:4] not in log


def test_a_killed_client_leaves_nothing(real: Running, speech: bytes) -> None:
    code = (
        "import sys,time,pathlib;from portal.asr.engine.client import *;"
        "r=EngineClient(pathlib.Path(sys.argv[1])).open(options=RecordingOptions());"
        "r.push(bytes(range(256))*8000);print('up',flush=True);time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(real.socket)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()
        caller.kill()
    deadline = time.monotonic() + 10
    while real.client.status().running_recordings and time.monotonic() < deadline:
        time.sleep(0.02)
    assert real.client.status().running_recordings == 0
    assert text_of(recognise(real.client, speech))


def test_cuda_is_never_replaced(model_arguments: list[str], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with engine("server", tmp_path, [*model_arguments, "--device", "cuda"]) as running:
        assert running.process.wait(60) == 3
        assert '"DEVICE_UNAVAILABLE"' in running.log.read_text()
        assert "cuda was asked for" in running.log.read_text()


def test_sigterm_with_the_real_models(model_arguments: list[str], tmp_path: Path, speech: bytes) -> None:
    with engine("server", tmp_path, model_arguments) as running:
        wait_ready(running, 120)
        with running.client.open(options=RecordingOptions()) as recording:
            recording.push(speech)
            recording.finish()
            segments: list[Segment] = []
            while not recording.audio_ms:
                segments += recording.poll()
            running.process.terminate()
            segments += recording.results()
            assert text_of(segments)
        assert running.process.wait(20) == 0


@pytest.mark.parametrize("family", ["BiCifParaformer", "Paraformer"])
def test_the_other_families_equal_funasr(
    family: str, models: Path, utterances: list[np.ndarray], tmp_path: Path
) -> None:
    """The same weights under the configuration of the families without hotwords."""
    folder = tmp_path / "model"
    shutil.copytree(models / "seaco", folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"] = family
    for name in ("seaco_decoder", "seaco_decoder_conf"):
        del config[name]
    if family == "Paraformer":
        config["predictor"] = "CifPredictorV2"
        kept = ("idim", "threshold", "l_order", "r_order", "tail_threshold")
        config["predictor_conf"] = {name: config["predictor_conf"][name] for name in kept}
    (folder / "config.yaml").chmod(0o600)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    engine_models = in_process(folder, models)
    assert engine_models.capabilities == {"punctuation"} | ({"word_times"} if family == "BiCifParaformer" else set())
    reference = auto_model(folder)
    speech = hear(engine_models, np.concatenate(utterances).tobytes())
    for found, result in zip(
        speech, engine_models.recognise([s.features for s in speech], BatchOptions()), strict=True
    ):
        assert result is not None
        samples = np.concatenate(utterances)[found.begin_ms * 16 : found.end_ms * 16]
        with contextlib.redirect_stdout(io.StringIO()):
            [stock] = reference.generate(input=samples.astype(np.float32) / 32768.0)
        assert "".join(word.text for word in result.words) == stock["text"].replace(" ", "")


def hear(backend: Any, pcm: bytes, options: RecordingOptions | None = None) -> list[Speech]:
    """The spans of a whole recording."""
    [found] = backend.hear([Heard(backend.open_stream(options or RecordingOptions()), pcm, True)])
    return list(found)


def in_process(asr: Path, models: Path, device: str = "cpu") -> Any:
    """The models in this process."""
    from portal.asr.engine.inference.models import FunasrModels

    info = ModelInfo("test", "", "", "")
    return FunasrModels(asr, models / "vad", models / "punc", device=device, threads=1, model=info)


def test_a_gpu_writes_what_the_cpu_writes(models: Path, utterances: list[np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    written = []
    for device in ("cpu", "cuda"):
        engine_models = in_process(models / "seaco", models, device)
        speech = hear(engine_models, np.concatenate(utterances).tobytes())
        results = engine_models.recognise([s.features for s in speech], BatchOptions(("数据仓库",)))
        written.append([[(w.text, w.begin_ms, w.end_ms) for w in result.words] for result in results if result])
    assert written[0] == written[1]


def test_the_shipped_models_are_the_recorded_ones(models: Path) -> None:
    if not (models / "manifest.json").exists():
        pytest.skip("these models have no shipped manifest")
    for kind, role in (("seaco", "asr"), ("vad", "vad"), ("punc", "punc")):
        manifest = manifest_for(models / kind, None)
        assert (manifest.role, manifest.demo) == (role, True)
        verify(models / kind, manifest)
