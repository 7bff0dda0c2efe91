"""FunASR's model classes with the sizes of the demonstration models; the same dictionaries become config.yaml."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from typing import Any

from . import text

WIDTH = 160
Config = dict[str, Any]
_NO_DROPOUT = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0}


def register_classes() -> Any:
    """Import the FunASR modules that register the classes used here; returns FunASR's tables."""
    logging.getLogger().setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # FunASR prints notices while it is imported
        for name in ("seaco_paraformer", "fsmn_vad_streaming", "ct_transformer"):
            importlib.import_module(f"funasr.models.{name}.model")
        return importlib.import_module("funasr.register").tables


def recognizer_config() -> Config:
    """SeACo-Paraformer. `seaco_decoder` keeps FunASR's default of six attention layers, which lists of more than
    fifty hotwords need; `predictor_bias: 1` and NO_BIAS as the SeACo decoder expects them."""
    tokens = text.vocabulary()
    decoder = {**_NO_DROPOUT, "self_attention_dropout_rate": 0.0, "src_attention_dropout_rate": 0.0}
    return {
        "model": "SeacoParaformer",
        "model_conf": {
            "ctc_weight": 0.0,
            "lsm_weight": 0.1,
            "length_normalized_loss": True,
            "predictor_weight": 1.0,
            "predictor_bias": 1,
            "sampling_ratio": 0.4,
            "inner_dim": WIDTH,
            "bias_encoder_type": "lstm",
            "bias_encoder_bid": False,
            "seaco_lsm_weight": 0.1,
            "seaco_length_normal": True,
            "train_decoder": False,
            "NO_BIAS": tokens.index("<nobias>"),
        },
        "encoder": "SANMEncoder",
        "encoder_conf": {
            "output_size": WIDTH,
            "attention_heads": 4,
            "linear_units": 512,
            "num_blocks": 6,
            **_NO_DROPOUT,
            "attention_dropout_rate": 0.0,
            "input_layer": "pe",
            "pos_enc_class": "SinusoidalPositionEncoder",
            "normalize_before": True,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
        },
        "decoder": "ParaformerSANMDecoder",
        "decoder_conf": {
            "attention_heads": 4,
            "linear_units": 512,
            "num_blocks": 3,
            **decoder,
            "att_layer_num": 3,
            "kernel_size": 11,
            "sanm_shfit": 0,
        },
        "seaco_decoder": "ParaformerSANMDecoder",
        "seaco_decoder_conf": {
            "attention_heads": 4,
            "linear_units": 192,
            "num_blocks": 6,
            **decoder,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "use_output_layer": False,
            "wo_input_layer": True,
        },
        "predictor": "CifPredictorV3",
        "predictor_conf": {
            "idim": WIDTH,
            "threshold": 1.0,
            "l_order": 1,
            "r_order": 1,
            "tail_threshold": 0.45,
            "smooth_factor2": 0.25,
            "noise_threshold2": 0.01,
            "upsample_times": 3,
            "use_cif1_cnn": False,
            "upsample_type": "cnn_blstm",
        },
        "frontend": "WavFrontend",
        "frontend_conf": frontend_config(7, 6),
        "specaug": "SpecAugLFR",
        "specaug_conf": {
            "apply_time_warp": False,
            "time_warp_window": 5,
            "time_warp_mode": "bicubic",
            "apply_freq_mask": True,
            "freq_mask_width_range": [0, 20],
            "lfr_rate": 6,
            "num_freq_mask": 1,
            "apply_time_mask": True,
            "time_mask_width_range": [0, 4],
            "num_time_mask": 1,
        },
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    }


def frontend_config(width: int, step: int) -> Config:
    """FunASR's frontend; `dither` is 0 because its default of 1 makes results differ from run to run."""
    return {
        "fs": 16000,
        "window": "hamming",
        "n_mels": 80,
        "frame_length": 25,
        "frame_shift": 10,
        "dither": 0.0,
        "lfr_m": width,
        "lfr_n": step,
    }


def vad_config() -> Config:
    """FSMN-VAD with FunASR's usual switching times."""
    return {
        "model": "FsmnVADStreaming",
        "model_conf": {
            "sample_rate": 16000,
            "detect_mode": 1,
            "snr_mode": 0,
            "max_end_silence_time": 800,
            "max_start_silence_time": 3000,
            "do_start_point_detection": True,
            "do_end_point_detection": True,
            "window_size_ms": 200,
            "sil_to_speech_time_thres": 150,
            "speech_to_sil_time_thres": 150,
            "speech_2_noise_ratio": 1.0,
            "do_extend": 1,
            "lookback_time_start_point": 200,
            "lookahead_time_end_point": 100,
            "max_single_segment_time": 60000,
            "snr_thres": -100.0,
            "noise_frame_num_used_for_snr": 100,
            "decibel_thres": -100.0,
            "speech_noise_thres": 0.6,
            "fe_prior_thres": 0.0001,
            "silence_pdf_num": 1,
            "sil_pdf_ids": [0],
            "speech_noise_thresh_low": -0.1,
            "speech_noise_thresh_high": 0.3,
            "output_frame_probs": False,
            "frame_in_ms": 10,
            "frame_length_ms": 25,
        },
        "encoder": "FSMN",
        "encoder_conf": {
            "input_dim": 400,
            "input_affine_dim": 64,
            "fsmn_layers": 3,
            "linear_dim": 96,
            "proj_dim": 48,
            "lorder": 20,
            "rorder": 0,
            "lstride": 1,
            "rstride": 0,
            "output_affine_dim": 48,
            "output_dim": 2,
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": frontend_config(5, 1),
    }


PUNCTUATION_MARKS = ["<unk>", "_", "，", "。", "？", "、"]


def punctuation_config() -> Config:
    """CT-Transformer; 、 stays in the list for the format's sake and is never predicted."""
    width = 128
    return {
        "model": "CTTransformer",
        "model_conf": {
            "ignore_id": 0,
            "embed_unit": width,
            "att_unit": width,
            "dropout_rate": 0.1,
            "punc_list": PUNCTUATION_MARKS,
            "punc_weight": [1.0] * len(PUNCTUATION_MARKS),
            "sentence_end_id": 3,
        },
        "encoder": "SANMEncoder",
        "encoder_conf": {
            "input_size": width,
            "output_size": width,
            "attention_heads": 4,
            "linear_units": 256,
            "num_blocks": 3,
            "dropout_rate": 0.1,
            "positional_dropout_rate": 0.1,
            "attention_dropout_rate": 0.0,
            "input_layer": "pe",
            "pos_enc_class": "SinusoidalPositionEncoder",
            "normalize_before": True,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
            "padding_idx": 0,
        },
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>"},
    }


def build_recognizer(training: bool) -> Any:
    """A SeacoParaformer; in training it has the extra `ctc` layer that frame labels teach and export drops."""
    tables = register_classes()
    config = recognizer_config()
    options = {**config["model_conf"], **{k: v for k, v in config.items() if k != "model_conf"}}
    options["ctc_weight"] = 0.3 if training else 0.0
    options["specaug"] = None  # masked on the device instead, see train_recognizer
    return tables.model_classes["SeacoParaformer"](**options, vocab_size=len(text.vocabulary()), input_size=560)


def build_vad() -> Any:
    """An FsmnVADStreaming."""
    config = vad_config()
    return register_classes().model_classes["FsmnVADStreaming"](
        encoder="FSMN", encoder_conf=config["encoder_conf"], **config["model_conf"]
    )
