"""``random-full``: models of full size with random weights that behave like trained ones where speed depends on it.

Tokens fire at the rate of Mandarin (about 4.5 per second of speech), the voice-activity network really hears energy
(one channel of it is wired by hand, the rest computes in vain), punctuation sets about 10 % commas and 4 % full stops.
What such models write means nothing; that two ways of running them write the same means a lot.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import yaml

from portal.asr.engine.inference.benchmark import shapes
from portal.asr.engine.inference.benchmark.recipe import VERSION
from portal.asr.engine.inference.features import FrontendSettings, filter_banks
from portal.asr.engine.inference.loading import import_funasr

Floats = npt.NDArray[np.float32]

_TOKENS_PER_SECOND: Final = 4.5
_NEVER: Final = -50.0
_MARK_SHARES: Final = {"_": 0.85, "，": 0.10, "。": 0.04, "？": 0.005, "、": 0.005}
_STEEPNESS: Final = 12.0
"""Difference of the odds' logarithms between speech and the noise floor."""
_BELOW_FLOOR: Final = 0.2
"""Sound quieter than the floor by more than this share of the way up to speech counts as that quiet: digital silence
must not be so certain that FunASR takes the logarithm of nought."""


def build(target: Path, sound: Path, models: Path, *, tiny: bool = False) -> None:
    """Make ``target`` with ``seaco``, ``vad`` and ``punc``; one model at a time, so memory holds at most one.

    Args:
        sound: 16 kHz mono WAV with speech and pauses; energy and token rate are set by it.
        models: the shipped models, whose feature statistics (``am.mvn``) are used.
    """
    torch.manual_seed(20260101)
    making = target.with_name(target.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    bank = _bank(sound)
    _voice_activity(making / "vad", models / "vad", bank)
    _punctuation(making / "punc", models / "punc", tiny=tiny)
    _recogniser(making / "seaco", models / "seaco", bank, tiny=tiny)
    (making / "recipe.json").write_text(json.dumps({"version": VERSION, "tiny": tiny}), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    making.rename(target)


def _bank(sound: Path) -> Floats:
    """Filter banks (frames, 80) of a recording."""
    with wave.open(str(sound)) as source:
        pcm = source.readframes(source.getnframes())
    return filter_banks(np.frombuffer(pcm, dtype="<i2"))


def _model(config: Mapping[str, Any], tokens: int) -> Any:
    tables = import_funasr()
    arguments = {name: value for name, value in config.items() if name not in ("frontend", "tokenizer", "model_conf")}
    arguments.update(config["model_conf"])
    family = arguments.pop("model")
    frontend = arguments.pop("frontend_conf", None)
    arguments.pop("tokenizer_conf", None)
    if frontend is not None:
        arguments["input_size"] = frontend["n_mels"] * frontend["lfr_m"]
    return tables.model_classes[family](**arguments, vocab_size=tokens).requires_grad_(False).eval()


def _write(folder: Path, config: Mapping[str, Any], model: Any, shipped: Path, tokens: list[str] | None) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(config), allow_unicode=True), encoding="utf-8")
    shutil.copyfile(shipped / "configuration.json", folder / "configuration.json")
    if (shipped / "am.mvn").exists():
        shutil.copyfile(shipped / "am.mvn", folder / "am.mvn")
    if tokens is not None:
        (folder / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False, indent=0), encoding="utf-8")
    torch.save(model.state_dict(), folder / "model.pt")


@torch.inference_mode()
def _voice_activity(folder: Path, shipped: Path, bank: Floats) -> None:
    config = shapes.voice_activity()
    frontend = FrontendSettings.load(config["frontend_conf"], shipped / "am.mvn")
    energy = frontend.join(bank).mean(axis=1)
    floor, speech = (float(np.percentile(energy, share)) for share in (5, 80))
    way = speech - floor
    model = _model(config, -1)
    net = model.encoder
    # what is below the floor is cut off by the first rectifier
    lowest = floor - _BELOW_FLOOR * way
    _only(net.in_linear1.linear, 0.0, bias=-lowest)
    net.in_linear1.linear.weight[0, :] = 1.0 / net.input_dim
    _only(net.in_linear2.linear, 1.0)
    for block in net.fsmn:
        _only(block.linear.linear, 1.0)
        block.fsmn_block.conv_left.weight[0] = 0.0
        _only(block.affine.linear, 1.0)
    _only(net.out_linear1.linear, 1.0)
    out = net.out_linear2.linear
    # the other 247 outputs together weigh as much as one with score 0: the odds of silence are those of one channel
    out.weight[1:] *= 0.01
    out.bias[1:] = -math.log(out.weight.size(0) - 1)
    out.weight[0, :] = 0.0
    out.weight[0, 0] = -_STEEPNESS / way
    out.bias[0] = _STEEPNESS * ((floor + speech) / 2 - lowest) / way
    _write(folder, config, model, shipped, None)


def _only(layer: Any, weight: float, bias: float = 0.0) -> None:
    """Channel 0 of the layer's output is channel 0 of its input; the other channels stay random."""
    layer.weight[0, :] = 0.0
    layer.weight[0, 0] = weight
    if layer.bias is not None:
        layer.bias[0] = bias


@torch.inference_mode()
def _punctuation(folder: Path, shipped: Path, *, tiny: bool) -> None:
    config, tokens = shapes.punctuation(tiny=tiny), shapes.punctuation_tokens(tiny=tiny)
    model = _model(config, len(tokens))
    text = torch.randint(3, 6_700, (64, 40))
    scores, _ = model.punc_forward(text, torch.full((64,), 40, dtype=torch.int32))
    flat = scores.reshape(-1, scores.size(-1))
    # every mark's score varies alike; a bias then gives each its share
    scale = 1.0 / flat.std(dim=0)
    layer = model.decoder
    layer.weight *= scale[:, None]
    layer.bias.zero_()
    marks = config["model_conf"]["punc_list"]
    scores, _ = model.punc_forward(text, torch.full((64,), 40, dtype=torch.int32))
    layer.bias.copy_(_biases(scores.reshape(-1, len(marks)), [_MARK_SHARES.get(mark, 0.0) for mark in marks]))
    _write(folder, config, model, shipped, tokens)


def _biases(scores: torch.Tensor, shares: list[float]) -> torch.Tensor:
    """Biases with which each column of ``scores`` (n, k) is the largest in its share of the rows."""
    wanted = torch.tensor(shares)
    bias = torch.where(wanted > 0, -scores.mean(dim=0), torch.tensor(_NEVER))
    for _ in range(400):
        best = (scores + bias).argmax(dim=1)
        found = torch.bincount(best, minlength=len(shares)) / len(scores)
        step = 0.05 * (torch.log(wanted + 1e-3) - torch.log(found + 1e-3)).clamp(-2, 2)
        bias = torch.where(wanted > 0, bias + step, bias)
    return bias


@torch.inference_mode()
def _recogniser(folder: Path, shipped: Path, bank: Floats, *, tiny: bool) -> None:
    config, tokens = shapes.recogniser(tiny=tiny), shapes.recogniser_tokens()
    model = _model(config, len(tokens))
    frontend = FrontendSettings.load(config["frontend_conf"], shipped / "am.mvn")
    features = torch.from_numpy(frontend.join(bank))[None]
    lengths = torch.tensor([features.size(1)])
    hidden, _ = model.encode(features, lengths)
    rate = _TOKENS_PER_SECOND * 0.06
    predictor = model.predictor
    predictor.cif_output.bias.fill_(math.log(rate / (1 - rate)))
    context = torch.relu(predictor.cif_conv1d(predictor.pad(hidden.transpose(1, 2)))).transpose(1, 2)
    for _ in range(20):
        mean = float(torch.sigmoid(predictor.cif_output(context)).mean())
        predictor.cif_output.bias += math.log(rate / (1 - rate)) - math.log(mean / (1 - mean))
    _spread_tokens(model, hidden, lengths, rate)
    _write(folder, config, model, shipped, tokens)
    lines = "".join(f"{character} {character}\n" for character in shapes.hanzi())
    (folder / "seg_dict").write_text(lines, encoding="utf-8")


def _spread_tokens(model: Any, hidden: torch.Tensor, lengths: torch.Tensor, rate: float) -> None:
    """Every character about equally likely on average, and nothing but characters."""
    count = max(2, int(hidden.size(1) * rate))
    steps = torch.linspace(0, hidden.size(1) - 1, count).long()
    scores, _ = model.decoder(hidden, lengths, hidden[:, steps], torch.tensor([count]))[:2]
    layer = model.decoder.output_layer
    layer.bias -= scores.reshape(-1, scores.size(-1)).mean(dim=0)
    spoken = torch.zeros(layer.bias.numel(), dtype=torch.bool)
    spoken[3 : 3 + len(shapes.hanzi())] = True
    layer.bias[~spoken] = _NEVER
    head = model.hotword_output_layer
    head.bias.zero_()
    # a hotword head that knows nothing names none
    head.bias[model.NO_BIAS] = -_NEVER


def main() -> int:
    """Run as ``python -m portal.asr.engine.inference.benchmark.weights TARGET SOUND MODELS``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("sound", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    build(options.target, options.sound, options.models, tiny=options.tiny)
    return 0


if __name__ == "__main__":
    sys.exit(main())
