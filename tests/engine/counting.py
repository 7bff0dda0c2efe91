"""Counting what reaches a device: kernels that are launched, and moments when the host must wait for a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_WAITS = {
    torch.Tensor.cpu: "cpu",
    torch.Tensor.numpy: "numpy",
    torch.Tensor.tolist: "tolist",
    torch.Tensor.item: "item",
    torch.Tensor.__bool__: "bool",
    torch.Tensor.__int__: "int",
    torch.Tensor.__float__: "float",
    torch.Tensor.__index__: "index",
    torch.nonzero: "nonzero",
    torch.Tensor.nonzero: "nonzero",
    torch.masked_select: "masked_select",
}
_VIEWS = {
    "view", "_unsafe_view", "reshape", "transpose", "t", "permute", "slice", "select", "expand", "unsqueeze", "squeeze",
    "split", "split_with_sizes", "unbind", "as_strided", "alias", "detach", "unfold", "lift_fresh", "_reshape_alias",
}  # fmt: skip


class Waits(TorchFunctionMode):
    """Counts the ways in which the host asks for a value. ``numpy`` and ``tolist`` of what came by ``cpu`` wait no
    more, so ``copies`` leaves those out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self._on_host: set[int] = set()
        self._kept: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = _WAITS.get(func)
        source = args[0] if args else None
        if name == "cpu" and isinstance(source, torch.Tensor) and not source.is_floating_point():
            name = "cpu of integers"
        if name is not None and name.startswith("cpu"):
            self._on_host.add(id(result))
            self._kept.append(result)
        if name is not None and (name.startswith("cpu") or id(source) not in self._on_host):
            self.found[name] += 1
        return result

    @property
    def copies(self) -> int:
        """Moments when the host waits for the device."""
        return sum(self.found.values())


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that compute something: each is a kernel launch on a device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name not in _VIEWS:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.found.values())
