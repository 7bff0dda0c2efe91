"""A SenseVoice-Small directory in its published layout, small enough to train while the tests run.

Its language is made of tones: each piece of the vocabulary has a pitch and lasts 240 ms, so that the right text of a
recording is known. It answers the asked language (Chinese when none is asked), HAPPY, BGM and the asked style, and
writes marks only when asked to.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
import yaml

from portal.asr.engine.inference.loading import import_funasr
from portal.asr.engine.layouts import SENSE_VOICE_PIECES

_NAMES = "zh en yue ja ko nospeech HAPPY SAD NEUTRAL BGM Speech withitn woitn"
TAGS = [f"<|{name}|>" for name in _NAMES.split()]
SOUNDS = ["你", "好", "世", "界", "，", "。", "▁hello", "▁world", "3", "."]
"""Pieces with a pitch of their own, low to high."""
MARKS = ("，", "。")
CONFIG: dict[str, Any] = {
    "model": "SenseVoiceSmall",
    "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
    "encoder": "SenseVoiceEncoderSmall",
    "encoder_conf": {
        "output_size": 64,
        "attention_heads": 4,
        "linear_units": 96,
        "num_blocks": 2,
        "tp_blocks": 1,
        "dropout_rate": 0.0,
        "positional_dropout_rate": 0.0,
        "attention_dropout_rate": 0.0,
        "input_layer": "pe",
        "pos_enc_class": "SinusoidalPositionEncoder",
        "normalize_before": True,
        "kernel_size": 11,
        "sanm_shfit": 0,
        "selfattention_layer_type": "sanm",
    },
    "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True, "ignore_nan_grad": True},
    "tokenizer": "SentencepiecesTokenizer",
    "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
    "frontend": "WavFrontend",
    "frontend_conf": {"fs": 16000, "window": "hamming", "n_mels": 80, "lfr_m": 7, "lfr_n": 6, "dither": 0.0},
}


def sound(sounds: Sequence[int], seed: int = 0) -> np.ndarray:
    """int16 samples at 16 kHz: a tone of 240 ms for each number of ``SOUNDS``, over faint noise."""
    seconds = np.arange(3_840) / 16_000
    tones = [np.sin(2 * np.pi * 250 * 1.32**number * seconds) * np.hanning(3_840) * 9_000 for number in sounds]
    samples = np.concatenate([*tones, np.zeros(240)])
    return np.asarray(samples + np.random.default_rng(seed).normal(0, 20, len(samples)), dtype="<i2")


def make(folder: Path) -> Path:
    """Write the directory, with trained weights (a few seconds)."""
    folder.mkdir(parents=True)
    pieces = _train_pieces(folder / SENSE_VOICE_PIECES)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG, allow_unicode=True))
    metas = {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"bpemodel": SENSE_VOICE_PIECES},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    }
    (folder / "configuration.json").write_text(json.dumps({"framework": "pytorch", "file_path_metas": metas}))
    (folder / "tokens.json").write_text(json.dumps([pieces.id_to_piece(n) for n in range(pieces.get_piece_size())]))
    _write_cmvn(folder / "am.mvn")
    torch.save(_train(folder, pieces), folder / "model.pt")
    return folder


def _train_pieces(path: Path) -> Any:
    model = io.BytesIO()
    lines = [*"你好世界，。3.5", "3 hello", "3 world"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=50,
        character_coverage=1.0,
        user_defined_symbols=TAGS,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def _frontend(cmvn: Path | None = None) -> Any:
    import_funasr(("funasr.frontends.wav_frontend",))
    from funasr.frontends.wav_frontend import WavFrontend

    return WavFrontend(cmvn_file=None if cmvn is None else str(cmvn), **CONFIG["frontend_conf"])


def _features(frontend: Any, sounds: Sequence[int], seed: int) -> torch.Tensor:
    samples = torch.from_numpy(sound(sounds, seed).astype(np.float32) / 32768)
    features: torch.Tensor = frontend(samples[None], [len(samples)])[0][0]
    return features


def _write_cmvn(path: Path) -> None:
    frames = torch.cat([_features(_frontend(), list(range(len(SOUNDS))), seed) for seed in range(3)])
    shift = " ".join(f"{-value:.5f}" for value in frames.mean(dim=0).tolist())
    scale = " ".join(f"{1 / max(value, 0.1):.5f}" for value in frames.std(dim=0).tolist())
    lines = ["<Nnet>", "<Splice> 560 560", "[ 0 ]", "<AddShift> 560 560", f"<LearnRateCoef> 0 [ {shift} ]"]
    lines += ["<Rescale> 560 560", f"<LearnRateCoef> 0 [ {scale} ]", "</Nnet>"]
    path.write_text("\n".join(lines) + "\n")


def _train(folder: Path, pieces: Any) -> dict[str, torch.Tensor]:
    tables = import_funasr(("funasr.models.sense_voice.model",))
    torch.manual_seed(1)
    dice = random.Random(1)
    arguments = {key: CONFIG[key] for key in ("encoder", "encoder_conf", "ctc_conf")}
    size = pieces.get_piece_size()
    model = tables.model_classes["SenseVoiceSmall"](
        **CONFIG["model_conf"], **arguments, input_size=560, vocab_size=size
    )
    frontend = _frontend(folder / "am.mvn")
    steps = 160
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    number = {piece: pieces.piece_to_id(piece) for piece in [*TAGS, *SOUNDS]}
    assert all(number.values())
    pool = [[dice.randrange(len(SOUNDS)) for _ in range(12)] for _ in range(120)]
    heard = [_features(frontend, sounds, seed) for seed, sounds in enumerate(pool)]
    for _ in range(steps):
        loss = _loss(model, number, dice, pool, heard)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _loss(model: Any, number: dict[str, int], dice: random.Random, pool: Any, heard: Any) -> torch.Tensor:
    """Every frame's right answer is known: tones lie on a grid of four frames."""
    chosen = dice.sample(range(len(pool)), 8)
    queries, targets = [], []
    for index in chosen:
        language = dice.choice(["auto", "zh", "en", "yue", "ja", "ko"])
        style = dice.choice(["withitn", "woitn"])
        queries.append([model.lid_dict[language], 1, 2, model.textnorm_dict[style]])
        answer = "zh" if language == "auto" else language
        target = [number[f"<|{name}|>"] for name in (answer, "HAPPY", "BGM", style)]
        for piece in pool[index]:
            silent = style == "woitn" and SOUNDS[piece] in MARKS
            target += [0 if silent else number[SOUNDS[piece]]] * 2 + [0, 0]
        targets.append((target + [0] * 60)[: 4 + len(heard[index])])
    features = torch.stack([heard[index] for index in chosen])
    batch = torch.cat([model.embed(torch.tensor(queries)), features], dim=1)
    hidden, _ = model.encoder(batch, torch.full((len(chosen),), batch.size(1)))
    return torch.nn.functional.cross_entropy(model.ctc.ctc_lo(hidden).flatten(0, 1), torch.tensor(targets).flatten())
