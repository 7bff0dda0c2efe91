"""The parts of Paraformer and CT-Transformer as ONNX graphs, from the weights that torch has loaded and checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from portal.asr.engine.inference.onnx_graph import Arithmetic, Graph


class Unsupported(Exception):
    """The model has a part that these graphs do not know; torch has to compute it."""


def write_encoder(encoder: Any, folder: Path, arithmetic: Arithmetic) -> None:
    """``embedded`` (T, in), scaled and with positions already added, to ``hidden`` (T, D).

    Raises Unsupported for a SANM encoder of another build than FunASR's published models have.
    """
    _expect(type(encoder).__name__ == "SANMEncoder", "encoder")
    _expect(type(encoder.embed).__name__ == "SinusoidalPositionEncoder", "embed")
    _expect(bool(encoder.normalize_before) and not encoder.interctc_layer_idx, "encoder layout")
    with Graph(folder, arithmetic) as graph:
        layers = [*encoder.encoders0, *encoder.encoders]
        value = graph.input("embedded", ["frames", layers[0].in_size])
        for layer in layers:
            value = _encoder_layer(graph, layer, value)
        value = graph.norm(value, encoder.after_norm)
        graph.output(value, "hidden", ["frames", encoder.output_size()])
        graph.save("encoder")


def _encoder_layer(graph: Graph, layer: Any, value: str) -> str:
    attention = layer.self_attn
    _expect(not layer.concat_after, "concat_after")
    _expect(type(attention).__name__ == "MultiHeadedAttentionSANM", "self_attn")
    normed = graph.norm(value, layer.norm1)
    query, key, held = graph.split(graph.linear(normed, _plain(attention.linear_q_k_v)), 3)
    attended = graph.linear(graph.attention(query, key, held, attention.h), _plain(attention.linear_out))
    mixed = graph.add(attended, graph.memory_block(held, attention))
    value = graph.add(value, mixed) if layer.in_size == layer.size else mixed
    return graph.add(value, _feed_forward(graph, layer.feed_forward, graph.norm(value, layer.norm2)))


def _feed_forward(graph: Graph, layer: Any, value: str) -> str:
    """Linear, ReLU, (layer norm in decoders,) linear."""
    _expect(isinstance(layer.activation, torch.nn.ReLU), "activation")
    value = graph.node("Relu", [graph.linear(value, _plain(layer.w_1))])
    if hasattr(layer, "norm"):
        value = graph.norm(value, layer.norm)
    return graph.linear(value, _plain(layer.w_2))


def write_decoder(decoder: Any, folder: Path, arithmetic: Arithmetic) -> None:
    """``memory`` (T, D) and ``acoustic`` (N, D) to ``states`` (N, D) and, with an output layer, ``scores`` (N, V)."""
    _expect(type(decoder).__name__ == "ParaformerSANMDecoder" and bool(decoder.normalize_before), "decoder")
    with Graph(folder, arithmetic) as graph:
        size = decoder.after_norm.normalized_shape[0]
        memory = graph.input("memory", ["frames", size])
        value = graph.input("acoustic", ["tokens", size])
        for layer in (*decoder.decoders, *(decoder.decoders2 or ()), *decoder.decoders3):
            value = _decoder_layer(graph, layer, value, memory)
        value = graph.norm(value, decoder.after_norm)
        graph.output(value, "states", ["tokens", size])
        if decoder.output_layer is not None:
            scores = graph.linear(value, _plain(decoder.output_layer))
            graph.output(scores, "scores", ["tokens", decoder.output_layer.out_features])
        graph.save("decoder")


def _decoder_layer(graph: Graph, layer: Any, value: str, memory: str) -> str:
    _expect(not layer.concat_after, "concat_after")
    result = _feed_forward(graph, layer.feed_forward, graph.norm(value, layer.norm1))
    if layer.self_attn is not None:
        result = graph.add(value, graph.memory_block(graph.norm(result, layer.norm2), layer.self_attn))
    if layer.src_attn is not None:
        attention = layer.src_attn
        query = graph.linear(graph.norm(result, layer.norm3), _plain(attention.linear_q))
        key, held = graph.split(graph.linear(memory, _plain(attention.linear_k_v)), 2)
        attended = graph.attention(query, key, held, attention.h)
        result = graph.add(result, graph.linear(attended, _plain(attention.linear_out)))
    return result


def write_timestamps(predictor: Any, folder: Path, arithmetic: Arithmetic) -> None:
    """``hidden`` (T, D) to ``weights`` (T * upsample_times): from these follow the times of tokens."""
    _expect(predictor.upsample_type == "cnn_blstm" and not predictor.use_cif1_cnn, "upsample_type")
    with Graph(folder, arithmetic) as graph:
        upsample = predictor.upsample_cnn
        size, times = upsample.in_channels, predictor.upsample_times
        hidden = graph.input("hidden", ["frames", size])
        # a transposed convolution whose step is its width is one product per frame
        kernel = upsample.weight.detach().permute(0, 2, 1).reshape(size, times * size)
        wide = graph.product(hidden, kernel, upsample.bias.detach().repeat(times))
        steps = graph.node("Reshape", [wide, graph.weight(np.array([-1, 1, size]))])
        both = _lstm(graph, predictor.blstm, steps)
        score = graph.product(both, predictor.cif_output2.weight.detach().T, predictor.cif_output2.bias)
        weights = graph.node("Mul", [graph.node("Sigmoid", [score]), graph.weight(_scalar(predictor.smooth_factor2))])
        weights = graph.node("Relu", [graph.node("Sub", [weights, graph.weight(_scalar(predictor.noise_threshold2))])])
        graph.output(graph.node("Reshape", [weights, graph.weight(np.array([-1]))]), "weights", ["steps"])
        graph.save("timestamps")


def _scalar(value: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([value], dtype=np.float32)


def _lstm(graph: Graph, layer: torch.nn.LSTM, steps: str) -> str:
    """(n, 1, size) through one bidirectional layer to (n, 2 * size)."""
    _expect(layer.num_layers == 1 and layer.bidirectional and layer.proj_size == 0, "lstm")
    size = layer.hidden_size

    def both(name: str, order: Callable[[torch.Tensor], torch.Tensor] = _gates) -> torch.Tensor:
        parts = [getattr(layer, f"{name}_l0{end}").detach() for end in ("", "_reverse")]
        return torch.stack([order(part) for part in parts])

    biases = torch.cat([both("bias_ih"), both("bias_hh")], dim=1)
    out = graph.lstm(steps, both("weight_ih"), both("weight_hh"), biases)
    # (n, directions, 1, size): the directions lie side by side
    return graph.node("Reshape", [out, graph.weight(np.array([-1, 2 * size]))])


def _gates(values: torch.Tensor) -> torch.Tensor:
    """torch keeps input, forget, cell, output; ONNX wants input, output, forget, cell."""
    entry, forget, cell, out = values.chunk(4, dim=0)
    return torch.cat([entry, out, forget, cell], dim=0)


def _plain(layer: Any) -> torch.nn.Linear:
    _expect(type(layer) is torch.nn.Linear, type(layer).__name__)
    linear: torch.nn.Linear = layer
    return linear


def _expect(holds: bool, part: str) -> None:
    if not holds:
        raise Unsupported(part)
