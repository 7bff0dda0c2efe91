"""Writes model directories exactly as FunASR lays out the real ones, and the manifest over them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from . import networks, text, vocabulary
from .punctuation_text import tokens_of_model

CLASSES = {"seaco": "SeacoParaformer", "vad": "FsmnVADStreaming", "punc": "CTTransformer"}
_TASKS = {"seaco": "auto-speech-recognition", "vad": "voice-activity-detection", "punc": "punctuation"}
_METAS: dict[str, dict[str, Any]] = {
    "seaco": {
        "tokenizer_conf": {"token_list": "tokens.json", "seg_dict_file": "seg_dict"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    },
    "vad": {"frontend_conf": {"cmvn_file": "am.mvn"}},
    "punc": {"tokenizer_conf": {"token_list": "tokens.json"}},
}
NOTE = "demonstration models, synthetic speech only"


def _write_json(path: Path, value: object, indent: int = 1) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def _common(folder: Path, kind: str, state: dict[str, Tensor], config: networks.Config, half: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Half precision halves the files; load_state_dict turns them back into float32.
    stored = {k: (v.half() if half and v.is_floating_point() else v).contiguous() for k, v in state.items()}
    torch.save(stored, folder / "model.pt")
    body = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(body, encoding="utf-8")
    description = {
        "framework": "pytorch",
        "task": _TASKS[kind],
        "model": {"type": "funasr"},
        "pipeline": {"type": "funasr-pipeline"},
        "model_name_in_hub": {"ms": "", "hf": ""},
        "file_path_metas": {"init_param": "model.pt", "config": "config.yaml", **_METAS[kind]},
    }
    _write_json(folder / "configuration.json", description)


def _write_normalisation(path: Path, norm: Tensor) -> None:
    """am.mvn: Kaldi's nnet text, minus the mean and one over the standard deviation."""
    size = norm.size(1)
    shift, scale = (" ".join(f"{float(v):.6g}" for v in row) for row in norm)
    path.write_text(
        f"<Nnet> \n<Splice> {size} {size} \n[ 0 ]\n<AddShift> {size} {size} \n<LearnRateCoef> 0 [ {shift} ]\n"
        f"<Rescale> {size} {size} \n<LearnRateCoef> 0 [ {scale} ]\n</Nnet> \n",
        encoding="ascii",
    )


def recognizer(folder: Path, state: dict[str, Tensor], norm: Tensor) -> None:
    """The SeACo-Paraformer directory. Without seg_dict a hotword of several hanzi would become one <unk>."""
    _common(folder, "seaco", state, networks.recognizer_config(), half=True)
    tokens = text.vocabulary()
    _write_json(folder / "tokens.json", tokens, indent=0)
    _write_normalisation(folder / "am.mvn", norm)
    lines = [f"{c} {c}" for c in text.characters()]
    lines += [f"{word} {' '.join(word)}" for word in vocabulary.ABBREVIATIONS]
    (folder / "seg_dict").write_text("\n".join(lines) + "\n", encoding="utf-8")


def vad(folder: Path, state: dict[str, Tensor], norm: Tensor) -> None:
    """The FSMN-VAD directory."""
    _common(folder, "vad", state, networks.vad_config(), half=False)
    _write_normalisation(folder / "am.mvn", norm)


def punctuation(folder: Path, state: dict[str, Tensor]) -> None:
    """The CT-Transformer directory."""
    _common(folder, "punc", state, networks.punctuation_config(), half=True)
    _write_json(folder / "tokens.json", tokens_of_model(), indent=0)


def manifest(root: Path) -> None:
    """manifest.json: class, SHA-256 and size of every file of the three directories."""
    models: dict[str, Any] = {}
    for kind, name in CLASSES.items():
        files = {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in sorted((root / kind).iterdir())
        }
        models[kind] = {"class": name, "files": files}
    _write_json(root / "manifest.json", {"models": models, "note": NOTE}, indent=2)
