"""Writes ONNX graphs node by node, their weights in a file beside them.

No tracing: each graph holds exactly the nodes that are meant, in forms ONNX Runtime has fast kernels for, and a weight
is written once, whole or as int8. All activations are two-dimensional, (frames or tokens, size): one segment at a time,
so that nothing in a graph can mix segments and nothing needs a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper

_PAGE: Final = 4096
"""Weights begin at pages, so that they can be mapped into memory instead of read."""
_FUSED: Final = "com.microsoft"
GRAPH: Final = "graph.onnx"
WEIGHTS: Final = "weights.bin"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How matrix products are computed. ``bits``: 32 for fp32, 8 or 7 for integer weights (7 where the processor adds
    products in 16 bits and would overflow with 8)."""

    bits: int = 32

    @property
    def integer(self) -> bool:
        """Whether weights are integers."""
        return self.bits < 32


class Graph:
    """One graph in the making, in a ``with`` block; ``save`` ends it. Methods return the name of their result."""

    def __init__(self, folder: Path, arithmetic: Arithmetic) -> None:
        """``folder``: exists and receives ``graph.onnx`` and ``weights.bin``."""
        self._folder = folder
        self._arithmetic = arithmetic
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._file: BinaryIO = (folder / WEIGHTS).open("wb")
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def input(self, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> str:
        """Declare an input; a text in ``shape`` stands for a length that varies."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give ``value`` out under ``name``."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def node(self, kind: str, inputs: Sequence[str], *, domain: str = "", results: int = 1, **attributes: Any) -> str:
        """Add a node and return its last result; results before it are left out where a kernel has them."""
        self._count += 1
        name = f"v{self._count}"
        outputs = [*[""] * (results - 1), name]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, domain=domain, **attributes))
        return name

    def weight(self, array: torch.Tensor | npt.NDArray[Any]) -> str:
        """Write a constant to the file and return its name. Small ones stay in the graph: kernels read them there."""
        values = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
        values = np.ascontiguousarray(values)
        self._count += 1
        name = f"w{self._count}"
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        if values.nbytes < _PAGE:
            self._weights.append(helper.make_tensor(name, kind, values.shape, values.tobytes(), raw=True))
            return name
        self._file.write(b"\0" * (-self._file.tell() % _PAGE))
        tensor = TensorProto(name=name, data_type=kind, dims=values.shape, data_location=TensorProto.EXTERNAL)
        facts = {"location": WEIGHTS, "offset": self._file.tell(), "length": values.nbytes}
        tensor.external_data.extend(onnx.StringStringEntryProto(key=key, value=str(facts[key])) for key in facts)
        self._file.write(values.tobytes())
        self._weights.append(tensor)
        return name

    def linear(self, value: str, layer: torch.nn.Linear) -> str:
        """``value`` (n, in) times the layer's weights, plus its bias where it has one."""
        return self.product(value, layer.weight.detach().T, layer.bias)

    def product(self, value: str, weights: torch.Tensor, bias: torch.Tensor | None) -> str:
        """``value`` (n, in) @ ``weights`` (in, out) + ``bias`` (out)."""
        if not self._arithmetic.integer:
            operands = [value, self.weight(weights.float()), *([] if bias is None else [self.weight(bias.float())])]
            return self.node("Gemm", operands)
        integers, scales = quantised(weights, self._arithmetic.bits)
        zeros = self.weight(np.zeros(len(scales), dtype=np.int8))
        operands = [value, self.weight(integers), self.weight(scales), zeros]
        if bias is not None:
            operands.append(self.weight(bias.float()))
        return self.node("DynamicQuantizeMatMul", operands, domain=_FUSED)

    def lstm(self, steps: str, entry: torch.Tensor, state: torch.Tensor, biases: torch.Tensor) -> str:
        """Bidirectional LSTM of (n, 1, in) to (n, 2, 1, size); gates lie in ONNX's order (input, output, forget, cell).

        ``entry``: (2, 4 * size, in). ``state``: (2, 4 * size, size). ``biases``: (2, 8 * size), of both in turn. Gates
        and the cell's memory stay fp32 in integer arithmetic too.
        """
        facts: dict[str, Any] = {"hidden_size": state.shape[2], "direction": "bidirectional"}
        if not self._arithmetic.integer:
            return self.node("LSTM", [steps, *map(self.weight, (entry, state, biases))], **facts)
        integers, scaling = [], []
        for weights in (entry, state):
            # both directions side by side: (in, 2 * 4 * size), a scale for each gate of each
            values, scales = quantised(weights.transpose(1, 2).transpose(0, 1).flatten(1), self._arithmetic.bits)
            integers.append(self.weight(values.reshape(len(values), 2, -1).transpose(1, 0, 2)))
            scaling += [self.weight(scales.reshape(2, -1)), self.weight(np.zeros((2, len(scales) // 2), dtype=np.int8))]
        left_out = [""] * 4
        operands = [steps, *integers, self.weight(biases), *left_out, *scaling]
        return self.node("DynamicQuantizeLSTM", operands, domain=_FUSED, **facts)

    def norm(self, value: str, layer: torch.nn.LayerNorm) -> str:
        """Layer normalisation over the last axis, fp32."""
        operands = [value, self.weight(layer.weight), self.weight(layer.bias)]
        return self.node("LayerNormalization", operands, axis=-1, epsilon=layer.eps)

    def add(self, left: str, right: str) -> str:
        """Element by element."""
        return self.node("Add", [left, right])

    def memory_block(self, value: str, block: Any) -> str:
        """FunASR's FSMN memory of (n, size): the value plus a depthwise convolution of it along n."""
        kernel = block.fsmn_block.weight.detach().float().clone()
        left, right = block.pad_fn.padding
        # "plus the value itself" is one more in the tap that looks at it
        kernel[:, 0, left] += 1.0
        columns = self.node("Unsqueeze", [self.node("Transpose", [value], perm=[1, 0]), self.weight(np.array([0]))])
        mixed = self.node("Conv", [columns, self.weight(kernel)], group=kernel.shape[0], pads=[left, right])
        return self.node("Transpose", [self.node("Squeeze", [mixed, self.weight(np.array([0]))])], perm=[1, 0])

    def attention(self, query: str, key: str, value: str, heads: int) -> str:
        """Scaled dot-product attention of (n, size) to (m, size), softmax in fp32."""
        batched = [self.node("Unsqueeze", [item, self.weight(np.array([0]))]) for item in (query, key, value)]
        attended = self.node("MultiHeadAttention", batched, domain=_FUSED, num_heads=heads)
        return self.node("Squeeze", [attended, self.weight(np.array([0]))])

    def split(self, value: str, parts: int) -> list[str]:
        """Cut (n, parts * size) into ``parts`` of (n, size)."""
        names = []
        for _ in range(parts):
            self._count += 1
            names.append(f"v{self._count}")
        self._nodes.append(helper.make_node("Split", [value], names, axis=-1, num_outputs=parts))
        return names

    def save(self, name: str) -> None:
        """Write ``graph.onnx``; the weights are complete once the block ends."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._weights)
        versions = [helper.make_opsetid("", 18), helper.make_opsetid(_FUSED, 1)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=9, producer_name="portal")
        (self._folder / GRAPH).write_bytes(model.SerializeToString())


def quantised(weights: torch.Tensor, bits: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """(in, out) to integers and one scale per column: ``integers * scales`` is nearest to the weights."""
    values = weights.detach().cpu().float().numpy()
    limit = 2 ** (bits - 1) - 1
    scales = np.maximum(np.abs(values).max(axis=0) / limit, np.finfo(np.float32).tiny).astype(np.float32)
    integers = np.clip(np.rint(values / scales), -limit, limit).astype(np.int8)
    return integers, scales
