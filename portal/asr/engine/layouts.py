"""The model families that may be loaded, and what the directory of each holds. Free of torch and FunASR.

The names are those of the directories that FunASR's authors publish. What is not named here is never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_SANM: Final[Mapping[str, frozenset[str]]] = {
    "encoder": frozenset({"SANMEncoder", "FSMN"}),
    "decoder": frozenset({"ParaformerSANMDecoder"}),
    "seaco_decoder": frozenset({"ParaformerSANMDecoder"}),
    "predictor": frozenset({"CifPredictorV2", "CifPredictorV3"}),
    "frontend": frozenset({"WavFrontend", "WavFrontendOnline"}),
    "tokenizer": frozenset({"CharTokenizer"}),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """One family. ``role``: asr, vad, punc or speaker. ``required`` and ``optional``: names of files.

    ``weights``: the checkpoint among them. ``parts``: for keys of ``config.yaml`` that name a class, the allowed ones.
    ``language_model``: the directory also holds a folder with the configuration and the tokenizer of a language model.
    ``inert``: files that official directories bring and that nothing here reads, such as a list of packages.
    ``harmless_keys``: places in ``config.yaml``, key after key, that would name a source of code in another family and
    that nothing reads in this one.
    """

    role: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ("configuration.json",)
    weights: str = "model.pt"
    parts: Mapping[str, frozenset[str]] = field(default_factory=lambda: _SANM)
    language_model: bool = False
    inert: frozenset[str] = frozenset()
    harmless_keys: tuple[tuple[str, ...], ...] = ()


_PARAFORMER: Final = Layout(
    "asr",
    ("config.yaml", "model.pt", "tokens.json", "am.mvn"),
    ("configuration.json", "seg_dict", "jieba_usr_dict"),
)
SENSE_VOICE_PIECES: Final = "chn_jpn_yue_eng_ko_spectok.bpe.model"
"""SentencePiece model of SenseVoice-Small."""
SPEAKER_WEIGHTS: Final = "campplus_cn_common.bin"

LAYOUTS: Final[Mapping[str, Layout]] = {
    "SeacoParaformer": _PARAFORMER,
    "BiCifParaformer": _PARAFORMER,
    "Paraformer": _PARAFORMER,
    "SenseVoiceSmall": Layout(
        "asr",
        ("config.yaml", "model.pt", "am.mvn", SENSE_VOICE_PIECES),
        ("configuration.json", "tokens.json"),
        parts={
            "encoder": frozenset({"SenseVoiceEncoderSmall"}),
            "frontend": frozenset({"WavFrontend"}),
            "tokenizer": frozenset({"SentencepiecesTokenizer"}),
        },
        inert=frozenset({"requirements.txt"}),
    ),
    "FunASRNano": Layout(
        "asr",
        ("config.yaml", "model.pt"),
        ("configuration.json", "multilingual.tiktoken"),
        parts={
            "audio_encoder": frozenset({"SenseVoiceEncoderSmall"}),
            "audio_adaptor": frozenset({"Transformer"}),
            "ctc_decoder": frozenset({"Transformer"}),
            "frontend": frozenset({"WavFrontend"}),
            "tokenizer": frozenset({"HuggingfaceTokenizer"}),
        },
        language_model=True,
        inert=frozenset({"requirements.txt"}),
        harmless_keys=(("llm_conf", "hub"),),
    ),
    "FsmnVADStreaming": Layout("vad", ("config.yaml", "model.pt", "am.mvn"), ("configuration.json",)),
    "CTTransformer": Layout(
        "punc", ("config.yaml", "model.pt", "tokens.json"), ("configuration.json", "jieba_usr_dict")
    ),
    "CAMPPlus": Layout(
        "speaker",
        ("config.yaml", SPEAKER_WEIGHTS),
        weights=SPEAKER_WEIGHTS,
        parts={"frontend": frozenset({"WavFrontend"})},
    ),
}
"""FunASR's class names, the allow-list."""

LANGUAGE_MODEL_REQUIRED: Final = ("config.json", "tokenizer_config.json")
LANGUAGE_MODEL_OPTIONAL: Final = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
LANGUAGE_MODEL_TYPES: Final = frozenset({"qwen2", "qwen3"})
_KEYS: Final = """
_name_or_path architectures attention_bias attention_dropout bos_token_id dtype eos_token_id head_dim hidden_act
hidden_size initializer_range intermediate_size layer_types max_position_embeddings max_window_layers mlp_bias
model_type num_attention_heads num_hidden_layers num_key_value_heads pad_token_id rms_norm_eps rope_parameters
rope_scaling rope_theta sliding_window tie_word_embeddings torch_dtype transformers_version use_cache
use_sliding_window vocab_size
"""
LANGUAGE_MODEL_KEYS: Final = frozenset(_KEYS.split())
"""Keys its ``config.json`` may have. Others, such as ``auto_map`` or an attention kernel from a hub, bring code."""
TOKENIZER_CLASSES: Final = frozenset({"Qwen2Tokenizer", "Qwen2TokenizerFast", "PreTrainedTokenizerFast"})


def explain() -> str:
    """The allowed classes by role, for a message."""
    roles: dict[str, list[str]] = {}
    for family, layout in LAYOUTS.items():
        roles.setdefault(layout.role, []).append(family)
    return "; ".join(f"{role}: {', '.join(families)}" for role, families in roles.items())
