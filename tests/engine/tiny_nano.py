"""A Fun-ASR-Nano directory in its published layout, small enough to learn a few recordings by heart while tests run.

It knows the tone sequences of ``KNOWN`` and writes their texts; for others it writes something. The prompt changes
nothing, as in training it is drawn at random.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, Qwen3Config

from portal.asr.engine.inference.loading import import_funasr
from tests.engine.tiny_sense_voice import sound

FOLDER = "Qwen3-0.6B"
KNOWN: dict[tuple[int, ...], str] = {
    (0, 1, 2, 3, 4): "你好，世界。",
    (5, 5, 6, 6): "今天3.5度！",
    (8, 7, 6): "Hello, world.",
    (2, 9, 2, 9, 2, 9, 2, 9): "我们在讨论热词，好吗？",
}
CONFIG: dict[str, Any] = {
    "model": "FunASRNano",
    "model_conf": {"lsm_weight": 0.1, "length_normalized_loss": True},
    "audio_encoder": "SenseVoiceEncoderSmall",
    "audio_encoder_conf": {
        "output_size": 32,
        "attention_heads": 2,
        "linear_units": 48,
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
        "freeze": True,
        "freeze_layer_num": -1,
        "feat_permute": True,
    },
    "llm": "Qwen3-0.6b",
    "llm_conf": {"hub": "hf", "freeze": True, "llm_dtype": "fp32", "init_param_path": FOLDER, "use_lora": False},
    "audio_adaptor": "Transformer",
    "audio_adaptor_conf": {
        "downsample_rate": 1,
        "use_low_frame_rate": True,
        "ffn_dim": 64,
        "llm_dim": 64,
        "encoder_dim": 32,
        "n_layer": 1,
        "freeze": True,
    },
    "frontend": "WavFrontend",
    "frontend_conf": {
        "fs": 16000,
        "window": "hamming",
        "n_mels": 80,
        "frame_length": 25,
        "frame_shift": 10,
        "lfr_m": 7,
        "lfr_n": 6,
        "cmvn_file": None,
        "dither": 0.0,
    },
    "dataset_conf": {"do_think": True, "sys_prompt": True},
    "tokenizer": "HuggingfaceTokenizer",
    "tokenizer_conf": {"init_param_path": "${llm_conf.init_param_path}"},
}


def make(folder: Path) -> Path:
    """Write the directory, with trained weights (about ten seconds)."""
    qwen = folder / FOLDER
    qwen.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG, allow_unicode=True))
    metas = {"init_param": "model.pt", "config": "config.yaml", "llm_conf": {"init_param_path": FOLDER}}
    (folder / "configuration.json").write_text(json.dumps({"file_path_metas": metas}))
    _write_tokenizer(qwen)
    config = Qwen3Config(
        vocab_size=640,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=1_024,
        eos_token_id=2,
        bos_token_id=0,
        tie_word_embeddings=True,
    )
    config.save_pretrained(qwen)
    torch.save(_train(folder), folder / "model.pt")
    return folder


def _write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*KNOWN.values(), "语音转写成中文：", "system user assistant"] * 5, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    values = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(values))


def build(folder: Path) -> Any:
    """FunASR's class with random weights."""
    tables = import_funasr(
        ("funasr.models.sense_voice.model", "funasr.models.llm_asr.adaptor", "funasr.models.fun_asr_nano.model")
    )
    torch.manual_seed(3)
    config = {**CONFIG, "llm_conf": {**CONFIG["llm_conf"], "init_param_path": str(folder / FOLDER)}}
    arguments = {key: config[key] for key in config if key.startswith(("audio", "llm"))}
    return tables.model_classes["FunASRNano"](**arguments, input_size=560)


def _train(folder: Path) -> dict[str, torch.Tensor]:
    import_funasr(("funasr.frontends.wav_frontend",))
    from funasr.frontends.wav_frontend import WavFrontend

    model = build(folder)
    frontend = WavFrontend(**CONFIG["frontend_conf"])
    tokenizer = AutoTokenizer.from_pretrained(str(folder / FOLDER), local_files_only=True)
    model.requires_grad_(True)
    dice = random.Random(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    model.train()
    for _ in range(55):
        loss = sum(
            (_loss(model, tokenizer, frontend, dice, tones, text) for tones, text in KNOWN.items()), torch.zeros(())
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _loss(
    model: Any, tokenizer: Any, frontend: Any, dice: random.Random, tones: tuple[int, ...], text: str
) -> torch.Tensor:
    samples = torch.from_numpy(sound(tones, dice.randrange(99)).astype(np.float32) / 32768)
    speech, lengths = frontend(samples[None], [len(samples)])
    hidden, hidden_lengths = model.encode(speech, lengths)
    heard, _ = model.audio_adaptor(hidden, hidden_lengths)
    taken = ((1 + (1 + (speech.size(1) - 1) // 2 - 1) // 2) - 1) // 2 + 1
    prompt = model.get_prompt(
        dice.choice([[], ["热词"]]), dice.choice([None, "中文", "英文"]), dice.choice([True, False])
    )
    before = f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{prompt}"
    after = "<|im_end|>\n<|im_start|>assistant\n"
    embed = model.llm.get_input_embeddings()
    answer = torch.tensor(tokenizer.encode(text + "<|im_end|>"))
    parts = [
        embed(torch.tensor(tokenizer.encode(before))),
        heard[0, :taken],
        embed(torch.tensor(tokenizer.encode(after))),
    ]
    known = torch.cat([*parts, embed(answer)])[None]
    scores = model.llm(inputs_embeds=known).logits[0, -len(answer) - 1 : -1]
    return torch.nn.functional.cross_entropy(scores, answer)
