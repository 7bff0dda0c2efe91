"""Configurations of the full-size models: SeACo-Paraformer 247 M, fsmn-vad 0.43 M, ct-punc 281 M parameters.

The sizes are those of the published models; ``tiny`` ones of the same structure are for tests.
"""

from __future__ import annotations

from typing import Any, Final

_NO_DROPOUT: Final = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0}
_FRONTEND: Final = {
    "fs": 16000,
    "window": "hamming",
    "n_mels": 80,
    "frame_length": 25,
    "frame_shift": 10,
    "dither": 0.0,
}
TOKENS: Final = 8404
PUNCTUATION_TOKENS: Final = 471_067


def recogniser(*, tiny: bool = False) -> dict[str, Any]:
    """SeACo-Paraformer: encoder of 50 blocks, decoder of 16, hotword decoder of 6 layers."""
    width, ff, blocks, layers = (64, 128, 2, 2) if tiny else (512, 2048, 50, 16)
    decoder = {
        "attention_heads": 4,
        **_NO_DROPOUT,
        "self_attention_dropout_rate": 0.0,
        "src_attention_dropout_rate": 0.0,
    }
    return {
        "model": "SeacoParaformer",
        "model_conf": {
            "ctc_weight": 0.0,
            "lsm_weight": 0.1,
            "length_normalized_loss": True,
            "predictor_weight": 1.0,
            "predictor_bias": 1,
            "sampling_ratio": 0.75,
            "inner_dim": width,
            "bias_encoder_type": "lstm",
            "bias_encoder_bid": False,
            "seaco_lsm_weight": 0.1,
            "seaco_length_normal": True,
            "train_decoder": False,
            "NO_BIAS": 8377,
        },
        "encoder": "SANMEncoder",
        "encoder_conf": {**_sanm(width, 4, ff, blocks), **_NO_DROPOUT},
        "decoder": "ParaformerSANMDecoder",
        "decoder_conf": {
            **decoder,
            **{"linear_units": ff, "num_blocks": layers, "att_layer_num": layers, "kernel_size": 11, "sanm_shfit": 0},
        },
        "seaco_decoder": "ParaformerSANMDecoder",
        "seaco_decoder_conf": {
            **decoder,
            **{"linear_units": ff // 2, "num_blocks": 4, "kernel_size": 21, "sanm_shfit": 0},
            **{"use_output_layer": False, "wo_input_layer": True},
        },
        "predictor": "CifPredictorV3",
        "predictor_conf": {
            **{"idim": width, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45},
            **{"smooth_factor2": 0.25, "noise_threshold2": 0.01, "upsample_times": 3},
            **{"use_cif1_cnn": False, "upsample_type": "cnn_blstm"},
        },
        "frontend": "WavFrontend",
        "frontend_conf": {**_FRONTEND, "lfr_m": 7, "lfr_n": 6},
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    }


def voice_activity() -> dict[str, Any]:
    """FSMN voice activity; small enough to be used in tests as it is."""
    return {
        "model": "FsmnVADStreaming",
        "model_conf": {
            **{"sample_rate": 16000, "detect_mode": 1, "snr_mode": 0},
            **{"max_end_silence_time": 800, "max_start_silence_time": 3000, "max_single_segment_time": 60000},
            **{"do_start_point_detection": True, "do_end_point_detection": True, "do_extend": 1},
            **{"window_size_ms": 200, "sil_to_speech_time_thres": 150, "speech_to_sil_time_thres": 150},
            **{"lookback_time_start_point": 200, "lookahead_time_end_point": 100, "speech_2_noise_ratio": 1.0},
            **{"snr_thres": -100.0, "noise_frame_num_used_for_snr": 100, "decibel_thres": -100.0},
            **{"speech_noise_thres": 0.6, "fe_prior_thres": 0.0001, "silence_pdf_num": 1, "sil_pdf_ids": [0]},
            **{"speech_noise_thresh_low": -0.1, "speech_noise_thresh_high": 0.3, "output_frame_probs": False},
            **{"frame_in_ms": 10, "frame_length_ms": 25},
        },
        "encoder": "FSMN",
        "encoder_conf": {
            **{"input_dim": 400, "input_affine_dim": 140, "fsmn_layers": 4, "linear_dim": 250, "proj_dim": 128},
            **{"lorder": 20, "rorder": 0, "lstride": 1, "rstride": 0, "output_affine_dim": 140, "output_dim": 248},
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": {**_FRONTEND, "lfr_m": 5, "lfr_n": 1},
    }


def punctuation(*, tiny: bool = False) -> dict[str, Any]:
    """CT-Transformer: 12 SANM blocks of 516, an embedding of 471,067 words."""
    width, heads, ff, blocks = (64, 4, 128, 2) if tiny else (516, 12, 2048, 12)
    return {
        "model": "CTTransformer",
        "model_conf": {
            **{"ignore_id": 0, "embed_unit": width, "att_unit": width, "dropout_rate": 0.1, "sentence_end_id": 3},
            **{"punc_list": ["<unk>", "_", "，", "。", "？", "、"], "punc_weight": [1.0] * 6},
        },
        "encoder": "SANMEncoder",
        "encoder_conf": {**_sanm(width, heads, ff, blocks), "input_size": width, **_NO_DROPOUT, "padding_idx": 0},
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>"},
    }


def _sanm(width: int, heads: int, ff: int, blocks: int) -> dict[str, Any]:
    return {
        **{"output_size": width, "attention_heads": heads, "linear_units": ff, "num_blocks": blocks},
        **{"attention_dropout_rate": 0.0, "input_layer": "pe", "pos_enc_class": "SinusoidalPositionEncoder"},
        **{"normalize_before": True, "kernel_size": 11, "sanm_shfit": 0, "selfattention_layer_type": "sanm"},
    }


def hanzi() -> list[str]:
    """The 6,763 characters of GB 2312."""
    found: list[str] = []
    for row in range(0xB0, 0xF8):
        for cell in range(0xA1, 0xFF):
            try:
                found.append(bytes((row, cell)).decode("gb2312"))
            except UnicodeDecodeError:
                continue
    return found


def recogniser_tokens() -> list[str]:
    """8,404 tokens in the published order of kinds: marks, characters, pieces of words, ``<unk>`` last."""
    tokens = ["<blank>", "<s>", "</s>", *hanzi()]
    tokens += [f"piece{number}@@" for number in range(TOKENS - 1 - len(tokens))]
    return [*tokens, "<unk>"]


def punctuation_tokens(*, tiny: bool = False) -> list[str]:
    """Characters first, then words nobody says; ``<unk>`` last."""
    tokens = ["<blank>", "<s>", "</s>", *hanzi()]
    count = len(tokens) + 10 if tiny else PUNCTUATION_TOKENS
    tokens += [f"word{number}" for number in range(count - 1 - len(tokens))]
    return [*tokens, "<unk>"]
