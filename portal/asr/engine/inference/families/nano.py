"""Fun-ASR-Nano: an encoder whose frames a small language model continues as text.

FunASR's class composes its prompt as a string and looks in it for ``<|startofspeech|>!…<|endofspeech|>``, where ``…``
is a path or an address that it opens. So no text of a person may reach the prompt unchecked: hotwords pass the engine's
allow-list once more, the language comes from a table, the finished prompt is searched for its special signs, and what
opens sound in FunASR's module is replaced by something that takes nothing but tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoTokenizer, StoppingCriteria, StoppingCriteriaList

from portal.asr.engine.backend import BatchOptions, Recognised
from portal.asr.engine.hotword_check import check_hotwords
from portal.asr.engine.inference.building import FamilyLimits
from portal.asr.engine.inference.features import FrontendSettings
from portal.asr.engine.inference.loading import build, import_funasr, load_weights, ready
from portal.asr.engine.language_model import files_of, folder_of
from portal.asr.engine.manifest import read_config
from portal.asr.engine.pulse import beat
from portal.asr.engine.written import words_and_marks
from portal.asr.errors import EngineFailed, ModelError
from portal.asr.types import Word

Floats = npt.NDArray[np.float32]

_MODULES: Final = (
    "funasr.models.sense_voice.model",
    "funasr.models.llm_asr.adaptor",
    "funasr.models.fun_asr_nano.model",
)
_LANGUAGES: Final = {"zh": "中文", "en": "英文", "ja": "日文"}
"""Codes and the names that the prompt uses for them."""
_SPECIAL: Final = ("<|", "|>", "!")
_ENCODER: Final = frozenset(
    {
        "output_size",
        "attention_heads",
        "linear_units",
        "num_blocks",
        "tp_blocks",
        "dropout_rate",
        "positional_dropout_rate",
        "attention_dropout_rate",
        "stochastic_depth_rate",
        "input_layer",
        "pos_enc_class",
        "normalize_before",
        "concat_after",
        "positionwise_layer_type",
        "positionwise_conv_kernel_size",
        "padding_idx",
        "kernel_size",
        "sanm_shfit",
        "selfattention_layer_type",
    }
)
_ADAPTOR: Final = frozenset(
    {"downsample_rate", "use_low_frame_rate", "ffn_dim", "llm_dim", "encoder_dim", "n_layer", "attention_heads"}
)
"""What is taken over from ``config.yaml``; other keys fetch, freeze or train."""


class Nano:
    """See ``building.Family``."""

    capabilities = frozenset({"hotwords", "own_punctuation", "language_choice", "model_itn"})
    languages = tuple(_LANGUAGES)

    def __init__(
        self, model: Any, tokenizer: Any, frontend: FrontendSettings, device: str, limits: FamilyLimits
    ) -> None:
        """``model``: FunASR's; ``tokenizer``: of its language model."""
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._limits = limits
        self.frontend = frontend

    @classmethod
    def open(cls, directory: Path, device: str, limits: FamilyLimits) -> Nano:
        """Load a checked directory. Raises ModelError."""
        tables = import_funasr(_MODULES)
        _take_tensors_only()
        config = read_config(directory)
        files_of(directory, config)
        folder = str(directory / folder_of(config))
        frontend = FrontendSettings.load(config.get("frontend_conf") or {}, None)
        arguments = {
            "audio_encoder": config.get("audio_encoder"),
            "audio_encoder_conf": _only(config.get("audio_encoder_conf"), _ENCODER),
            "audio_adaptor": config.get("audio_adaptor"),
            "audio_adaptor_conf": _only(config.get("audio_adaptor_conf"), _ADAPTOR),
            "llm": config.get("llm"),
            # weights come from model.pt alone; attention is torch's own, never a kernel from a hub
            "llm_conf": {"init_param_path": folder, "load_kwargs": {"attn_implementation": "sdpa"}},
            "input_size": frontend.lfr_m * 80,
        }
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (ValueError, OSError, TypeError, KeyError) as error:
            raise ModelError(
                "MODEL_ALTERED", f"the tokenizer in {folder} can't be read", file="tokenizer.json"
            ) from error
        model = build(tables, "FunASRNano", arguments)
        # the output layer may be the embedding itself, and then need not be stored
        tied = ("llm.lm_head.weight",) if model.llm.config.tie_word_embeddings else ()
        load_weights(model, directory / "model.pt", optional=tied)
        return cls(ready(model, device), tokenizer, frontend, device, limits)

    def forget_hotwords(self) -> None:
        """Nothing is kept of them."""

    @torch.inference_mode()
    def recognise(self, segments: Sequence[Floats], options: BatchOptions) -> list[Recognised | None]:
        """See ``building.Family``. A segment whose text was cut off at the limit is marked ``cut_off``.

        Raises EngineFailed(HOTWORD_REFUSED) for hotwords outside the engine's allow-list.
        """
        prompt = self._prompt(options)
        results: list[Recognised | None] = [Recognised(())] * len(segments)
        filled = [index for index, frames in enumerate(segments) if len(frames)]
        for start in range(0, len(filled), self._limits.nano_batch):
            chosen = filled[start : start + self._limits.nano_batch]
            usable = [index for index in chosen if np.isfinite(segments[index]).all()]
            for index in set(chosen) - set(usable):
                results[index] = None
            texts = self._texts([segments[index] for index in usable], prompt) if usable else []
            for index, (text, cut_off) in zip(usable, texts, strict=True):
                results[index] = _recognised(text, len(segments[index]) * 10, cut_off=cut_off)
        return results

    def _prompt(self, options: BatchOptions) -> str:
        """FunASR's own prompt, which is proven to hold no sign that its parser acts on."""
        hotwords = list(check_hotwords(options.hotwords))
        prompt = str(self._model.get_prompt(hotwords, _LANGUAGES.get(options.language), options.itn))
        if any(sign in prompt for sign in _SPECIAL):
            raise EngineFailed("HOTWORD_REFUSED", "the prompt holds a sign that the model acts on")
        return prompt

    def _texts(self, segments: Sequence[Floats], prompt: str) -> list[tuple[str, bool]]:
        """The text of each segment, and whether it was cut off; one pass of the language model for all of them."""
        features = [torch.from_numpy(self.frontend.join(frames))[None] for frames in segments]
        chats = [self._model.generate_chatml(prompt, item) for item in features]
        tokenizer = _Tokenizer(self._tokenizer)
        # FunASR's own batching; its path for a single segment hands over a mask of another length
        results, _ = self._model._inference_llm_batch(
            chats,
            None,
            [str(number) for number in range(len(chats))],
            tokenizer,
            _Frontend(self.frontend.lfr_n),
            device=self._device,
            max_length=self._limits.nano_max_length,
            llm_kwargs={"do_sample": False, "stopping_criteria": StoppingCriteriaList([_Beat()])},
        )
        ends = self._model.llm.generation_config.eos_token_id
        stops = set(ends) if isinstance(ends, (list, tuple)) else {ends}
        texts = [str(result["text"]) for result in results]
        return [(text, not stops & set(row)) for text, row in zip(texts, tokenizer.written, strict=True)]


@dataclass(slots=True)
class _Tokenizer:
    """The tokenizer as FunASR's class uses it; remembers the numbers it was asked to write out."""

    inner: Any
    written: list[list[int]] = field(default_factory=list)

    def encode(self, text: str) -> list[int]:
        """Numbers of a piece of the prompt."""
        return list(self.inner.encode(text))

    def batch_decode(self, rows: torch.Tensor, skip_special_tokens: bool = True) -> list[str]:
        """Texts of rows of numbers."""
        self.written = rows.tolist()
        return list(self.inner.batch_decode(rows, skip_special_tokens=skip_special_tokens))


@dataclass(frozen=True, slots=True)
class _Frontend:
    """Stands where FunASR computes filter banks: they are there already."""

    lfr_n: int
    fs: int = 16_000
    frame_shift: int = 10

    def __call__(self, features: torch.Tensor, lengths: Sequence[int], **_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """``features``: (1, T, D)."""
        return features, torch.as_tensor([features.size(1)])


class _Beat(StoppingCriteria):
    """Never stops; tells after every token that writing goes on."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        beat()
        return torch.zeros(input_ids.size(0), dtype=torch.bool, device=input_ids.device)


def _take_tensors_only() -> None:
    """Nothing in FunASR's module may open a path or an address any more."""
    import funasr.models.fun_asr_nano.model as module

    def only_tensors(data: Any, **_: Any) -> torch.Tensor:
        if not isinstance(data, torch.Tensor):
            raise EngineFailed("HOTWORD_REFUSED", "the model asked for sound by name")
        return data

    module.load_audio_text_image_video = only_tensors


def _only(conf: Any, names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in (conf or {}).items() if name in names}


def _recognised(text: str, length_ms: int, *, cut_off: bool) -> Recognised:
    """Words of a text; the model knows no times, so each has those of the segment."""
    words, marks = words_and_marks([Word(character, 0, length_ms) for character in text])
    return Recognised(words, marks, cut_off=cut_off)
