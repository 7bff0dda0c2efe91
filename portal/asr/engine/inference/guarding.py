"""Telling lack of memory and a lost device from other errors."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from portal.asr.engine.backend import DeviceLost, OutOfMemory

_T = TypeVar("_T")


def guarded(work: Callable[[], _T]) -> _T:
    """Run ``work`` and tell out-of-memory and a lost device from other errors."""
    try:
        return work()
    except torch.OutOfMemoryError:
        pass
    except RuntimeError as error:
        if "CUDA error" in str(error) or "CUBLAS_STATUS" in str(error) or "CUDNN_STATUS" in str(error):
            raise DeviceLost(type(error).__name__) from None
        # the CPU's allocator says it in its own words
        if "out of memory" not in str(error) and "DefaultCPUAllocator" not in str(error):
            raise
    # outside the except block: the traceback would pin the tensors that have to go
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfMemory
