"""Build the allowed model classes from a checked directory: no hub, no remote code, no pickle.

FunASR's own loader resolves names on the network, follows ``trust_remote_code`` from the directory and reads whatever
path its configuration names. Here the configuration is read as plain YAML, file names are fixed, and the weights are
loaded with ``weights_only``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import logging
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from portal.asr.engine.manifest import read_config
from portal.asr.errors import ModelError

_MODULES: Final = (
    "funasr.models.sanm.encoder",
    "funasr.models.paraformer.decoder",
    "funasr.models.paraformer.cif_predictor",
    "funasr.models.bicif_paraformer.cif_predictor",
    "funasr.models.paraformer.model",
    "funasr.models.bicif_paraformer.model",
    "funasr.models.seaco_paraformer.model",
    "funasr.models.fsmn_vad_streaming.encoder",
    "funasr.models.fsmn_vad_streaming.model",
    "funasr.models.ct_transformer.model",
)
_TRAINING_ONLY: Final = ("specaug", "specaug_conf", "normalize", "normalize_conf", "frontend", "frontend_conf")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode on its device, with the plain configuration and token list it was built from."""

    model: Any
    config: dict[str, Any]
    tokens: list[str]
    directory: Path


def import_funasr(modules: Sequence[str] = _MODULES) -> Any:
    """Import only the classes of the allow-list, those in ``modules``, and return FunASR's registry.

    The package's own ``__init__`` imports every model family it has (seconds, and code that evaluates prompts); a bare
    package object in its place lets the listed modules be imported alone.
    """
    if torch.load.__defaults__ is None or not _loads_weights_only():
        raise ModelError("MODEL_UNSAFE", f"torch {torch.__version__} unpickles by default; 2.6 or newer is needed")
    if "funasr" not in sys.modules:
        found = importlib.util.find_spec("funasr")
        if found is None or found.submodule_search_locations is None:
            raise ModelError("MODEL_UNKNOWN", "the funasr package is not installed")
        package = types.ModuleType("funasr")
        package.__path__ = list(found.submodule_search_locations)
        package.__spec__ = found
        sys.modules["funasr"] = package
    # FunASR logs hotwords and paths at INFO through the root logger
    logging.getLogger().setLevel(max(logging.getLogger().level, logging.WARNING))
    # it also prints advice on decoders that are never used here
    with contextlib.redirect_stdout(io.StringIO()):
        for name in modules:
            importlib.import_module(name)
    return importlib.import_module("funasr.register").tables


def _loads_weights_only() -> bool:
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    return (major, minor) >= (2, 6)


def load(directory: Path, device: str) -> Loaded:
    """Build the model of ``directory`` with its weights. Raises ModelError."""
    tables = import_funasr()
    config = read_config(directory)
    tokens = _tokens(directory)
    arguments = {name: value for name, value in config.items() if name not in _TRAINING_ONLY}
    arguments.update(arguments.pop("model_conf", None) or {})
    if "frontend_conf" in config:
        frontend = config["frontend_conf"]
        arguments["input_size"] = int(frontend.get("n_mels", 80)) * int(frontend.get("lfr_m", 1))
    arguments["vocab_size"] = len(tokens) if tokens else -1
    family = arguments.pop("model")
    # names of files have no place here: ours are fixed
    for name in ("init_param", "tokenizer", "tokenizer_conf", "jieba_usr_dict", "model_path"):
        arguments.pop(name, None)
    model = build(tables, family, arguments)
    # heads that only training uses may be absent
    load_weights(model, directory / "model.pt", optional=("ctc.", "criterion"))
    return Loaded(ready(model, device), config, tokens, directory)


def build(tables: Any, family: str, arguments: Mapping[str, Any]) -> Any:
    """An object of FunASR's class ``family`` with random weights. Raises ModelError."""
    try:
        return tables.model_classes[family](**arguments)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            "MODEL_FAMILY_REFUSED", f"{family} can't be built: {type(error).__name__}", family=family
        ) from error


def ready(model: Any, device: str) -> Any:
    """The model on its device, for inference only."""
    model.requires_grad_(False)
    return model.to(device).eval()


def _tokens(directory: Path) -> list[str]:
    path = directory / "tokens.json"
    if not path.exists():
        return []
    tokens = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ModelError("MODEL_UNSAFE", "tokens.json is not a list of strings")
    return tokens


def load_weights(model: Any, path: Path, *, optional: tuple[str, ...] = ()) -> None:
    """Copy the checkpoint into ``model``; every weight the model has must be there in its shape, but for those whose
    names begin as in ``optional``. Raises ModelError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise ModelError(
            "MODEL_UNSAFE", f"{path.name} can't be loaded as plain tensors: {type(error).__name__}"
        ) from error
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    state = {name.removeprefix("module."): value for name, value in state.items()}
    own = model.state_dict()
    missing = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    missing = [name for name in missing if not name.startswith(optional)]
    if missing:
        detail = f"{path.name} lacks {len(missing)} weights, first {missing[0]}"
        raise ModelError("MODEL_ALTERED", detail, file=path.name)
    with torch.no_grad():
        for name, value in own.items():
            if name in state:
                value.copy_(state[name])
