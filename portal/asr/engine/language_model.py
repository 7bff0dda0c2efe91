"""The folder of a language model inside a model directory: proven to hold data only. Free of torch and transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from portal.asr.engine.layouts import (
    LANGUAGE_MODEL_KEYS,
    LANGUAGE_MODEL_OPTIONAL,
    LANGUAGE_MODEL_REQUIRED,
    LANGUAGE_MODEL_TYPES,
    TOKENIZER_CLASSES,
)
from portal.asr.errors import ModelError

_CODE: Final = (".py", ".pyc", ".so", ".pkl", ".pickle", ".joblib", ".bin", ".pt", ".pth", ".ckpt")
"""Endings of files that run code when somebody loads them. The folder needs none: the weights lie in ``model.pt``."""
_LARGEST_JSON: Final = 64 << 20
_ELSEWHERE: Final = ("auto_map", "fast_tokenizer_files", "gguf_file")
"""Keys with which a tokenizer's configuration names code, or a file to read instead of the recorded one."""


def folder_of(config: Mapping[str, Any]) -> str:
    """Name of the folder that ``config.yaml`` names. Raises ModelError(MODEL_UNSAFE) unless it is a plain name."""
    settings = config.get("llm_conf")
    name = settings.get("init_param_path") if isinstance(settings, dict) else None
    if not isinstance(name, str) or not name or name != Path(name).name or name.startswith("."):
        raise ModelError("MODEL_UNSAFE", "llm_conf.init_param_path is not the name of a folder", file="config.yaml")
    return name


def files_of(directory: Path, config: Mapping[str, Any]) -> list[str]:
    """The folder's files, relative to ``directory``, after checking them.

    Raises ModelError: MODEL_MISSING_FILE, MODEL_UNSAFE for code in any form, MODEL_FAMILY_REFUSED for other models
    than Qwen2 and Qwen3.
    """
    name = folder_of(config)
    folder = directory / name
    for file in LANGUAGE_MODEL_REQUIRED:
        if not (folder / file).is_file():
            raise ModelError("MODEL_MISSING_FILE", f"{folder / file} is missing", file=f"{name}/{file}")
    tokenizer = (folder / "tokenizer.json").is_file() or all(
        (folder / file).is_file() for file in ("vocab.json", "merges.txt")
    )
    if not tokenizer:
        raise ModelError("MODEL_MISSING_FILE", f"{folder} has no tokenizer.json", file=f"{name}/tokenizer.json")
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not path.resolve().is_file():
            raise ModelError("MODEL_UNSAFE", f"{path} is a link to elsewhere", file=path.name)
        if path.suffix.lower() in _CODE:
            raise ModelError("MODEL_UNSAFE", f"{path} can hold code and is not needed; delete it", file=path.name)
    _check_config(_json(folder / "config.json"), f"{name}/config.json")
    _check_tokenizer(_json(folder / "tokenizer_config.json"), f"{name}/tokenizer_config.json")
    known = (*LANGUAGE_MODEL_REQUIRED, *LANGUAGE_MODEL_OPTIONAL)
    return [f"{name}/{file}" for file in known if (folder / file).is_file()]


def _check_config(values: Mapping[str, Any], file: str) -> None:
    kind = str(values.get("model_type"))
    unknown = sorted(values.keys() - LANGUAGE_MODEL_KEYS)
    if unknown:
        raise ModelError("MODEL_UNSAFE", f"{file} names {', '.join(unknown)[:200]}", file=file)
    if kind not in LANGUAGE_MODEL_TYPES:
        allowed = ", ".join(sorted(LANGUAGE_MODEL_TYPES))
        raise ModelError("MODEL_FAMILY_REFUSED", f"the language model is {kind[:40]}; allowed: {allowed}", family=kind)


def _check_tokenizer(values: Mapping[str, Any], file: str) -> None:
    if named := [key for key in _ELSEWHERE if key in values]:
        raise ModelError("MODEL_UNSAFE", f"{file} names {', '.join(named)}", file=file)
    kind = str(values.get("tokenizer_class"))
    if kind not in TOKENIZER_CLASSES:
        allowed = ", ".join(sorted(TOKENIZER_CLASSES))
        raise ModelError("MODEL_FAMILY_REFUSED", f"the tokenizer is {kind[:40]}; allowed: {allowed}", family=kind)


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST_JSON:
        raise ModelError("MODEL_UNSAFE", f"{path.name} is too large", file=path.name)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ModelError("MODEL_UNSAFE", f"{path.name} is not JSON", file=path.name) from None
    if not isinstance(values, dict):
        raise ModelError("MODEL_UNSAFE", f"{path.name} is not an object", file=path.name)
    return values
