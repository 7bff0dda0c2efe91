"""The recipe runs from nothing to loadable directories, continues after a stop, and sees FunASR's own features."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from portal.asr.models.recipe import evaluate, features, loop, synthesis
from portal.asr.models.recipe.settings import Settings

MODELS = Path(__file__).parents[3] / "portal" / "asr" / "models"


@pytest.mark.models
@pytest.mark.timeout(600)
def test_a_few_steps_of_every_stage_give_directories_that_load(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "portal.asr.models.recipe", "train", "--smoke"]
    subprocess.run([*command, "--out", str(tmp_path), "--threads", "1", "--device", "cpu"], check=True)
    for kind in ("seaco", "vad", "punc"):
        assert {p.name for p in (tmp_path / kind).iterdir()} == {p.name for p in (MODELS / kind).iterdir()}
    model = evaluate.load(tmp_path, ("seaco", "vad", "punc"))
    assert "text" in evaluate.recognise(model, np.zeros(32_000, np.float32))


def _train(folder: Path, steps: int, stop: int) -> torch.Tensor:
    torch.manual_seed(1)
    layer = torch.nn.Linear(4, 1)

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        if step == stop:
            raise KeyboardInterrupt
        loss = (layer(torch.rand(8, 4)) - 1).square().mean()
        return loss, {"loss": loss.detach()}

    settings = replace(Settings(), save_every=2, report_every=10)
    checkpoint = folder / "x.checkpoint"
    try:
        loop.run("x", settings, steps, [layer], lambda _: 0.1, loss_of, checkpoint)
    except KeyboardInterrupt:
        return _train(folder, steps, -1)
    return layer.weight.detach()


def test_a_stopped_stage_continues_as_if_nothing_had_happened(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert torch.equal(_train(tmp_path / "a", 7, -1), _train(tmp_path / "b", 7, 5))


@pytest.mark.models
@pytest.mark.parametrize("count", [400, 16_000, 16_123, 40_960])
@pytest.mark.parametrize(("width", "step"), [(7, 6), (5, 1)])
def test_features_equal_those_of_funasr(count: int, width: int, step: int) -> None:
    from funasr.frontends.wav_frontend import WavFrontend

    theirs = WavFrontend(fs=16000, window="hamming", n_mels=80, dither=0.0, lfr_m=width, lfr_n=step)
    samples = (np.random.default_rng(count).standard_normal(count) * 0.1).astype(np.float32)
    wanted, _ = theirs(torch.from_numpy(samples)[None], torch.tensor([count]))
    frames = torch.from_numpy(features.filterbank(samples))
    padded = torch.cat([frames, torch.zeros(9, features.MELS)])
    found = features.stack_batch(padded[None], torch.tensor([len(frames)]), width, step)
    assert torch.equal(found[:, : wanted.size(1)], wanted)


def test_letters_are_spelled_and_every_character_has_its_onset() -> None:
    assert synthesis.spoken_form("检查API接口") == "检查 A P I 接口"
    speech = synthesis.speak("检查API接口。", "f4", 200, 50)
    assert speech.onsets is not None
    assert len(speech.onsets) == 7
    assert speech.onsets == sorted(speech.onsets)
