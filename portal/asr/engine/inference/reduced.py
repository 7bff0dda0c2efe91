"""``fast`` on NVIDIA cards: matrix products of encoder and decoder with fewer bits, everything else in fp32.

Positions, layer normalisation, softmax, the token predictor (CIF), the timestamp LSTM and the hotword head stay fp32:
a rounded running sum changes how many tokens there are. Cards from compute capability 8.0 round the factors of each
product to TF32 and add in fp32; older ones with tensor cores (7.x) hold weights and inputs of linear layers in fp16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from portal.asr.engine.inference.encoders import Decoder, Encoder, Stages

Floats = npt.NDArray[np.float32]
_TF32: Final = (8, 0)
_TENSOR_CORES: Final = (7, 0)


class HalfLinear(torch.nn.Module):
    """A linear layer whose product has fp16 factors; bias and result are fp32. ``full`` is the layer it stands for."""

    def __init__(self, full: torch.nn.Linear) -> None:
        super().__init__()
        # not a submodule: it must not follow to the device or into the list of weights
        self.__dict__["full"] = full
        self.register_buffer("half_weight", full.weight.detach().half())
        self.in_features, self.out_features = full.in_features, full.out_features

    @property
    def weight(self) -> torch.Tensor:
        """fp32 weights, for code that asks for them."""
        found: torch.Tensor = self.__dict__["full"].weight
        return found

    @property
    def bias(self) -> torch.Tensor | None:
        """fp32 bias."""
        found: torch.Tensor | None = self.__dict__["full"].bias
        return found

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """(…, in) to (…, out), fp32 both."""
        weight: torch.Tensor = self.get_buffer("half_weight")
        product = torch.nn.functional.linear(value.half(), weight).float()
        return product if self.bias is None else product + self.bias


def halve(module: torch.nn.Module) -> Callable[[], None]:
    """Put HalfLinear in the place of every linear layer of ``module``; the returned function undoes it."""
    replaced: list[tuple[torch.nn.Module, str, torch.nn.Linear]] = []
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                replaced.append((parent, name, child))
                setattr(parent, name, HalfLinear(child))

    def undo() -> None:
        for parent, name, child in replaced:
            setattr(parent, name, child)

    return undo


@contextmanager
def tf32() -> Iterator[None]:
    """Products of fp32 matrices may round their factors to TF32 while this lasts. Only the model thread computes."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


class Tf32Encoder:
    """See encoders.Encoder."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner

    def __call__(self, features: Sequence[Floats]) -> torch.Tensor:
        """See encoders.Encoder."""
        with tf32():
            return self._inner(features)


class Tf32Decoder:
    """See encoders.Decoder."""

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner

    def __call__(
        self, hidden: torch.Tensor, lengths: torch.Tensor, acoustic: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See encoders.Decoder."""
        with tf32():
            return self._inner(hidden, lengths, acoustic, counts)


def reduced_stages(exact: Stages, model: Any, capability: tuple[int, int]) -> tuple[Stages, Callable[[], None]] | None:
    """``exact`` stages of ``model`` with fewer bits for a card of this compute capability, and what undoes it.

    None for cards without tensor cores, which would gain nothing.
    """
    if capability >= _TF32:
        return Stages(Tf32Encoder(exact.encoder), Tf32Decoder(exact.decoder), exact.timestamps), lambda: None
    if capability < _TENSOR_CORES:
        return None
    undo = [halve(model.encoder), halve(model.decoder)]

    def undo_all() -> None:
        for step in undo:
            step()

    return exact, undo_all
