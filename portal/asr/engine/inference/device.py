"""Which device the models run on, and its memory."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from portal.asr.engine.contract import Memory
from portal.asr.errors import ModelError

_MIB = 1 << 20
_caps: dict[str, int] = {}


def choose_device(wanted: str) -> tuple[str, str, str | None]:
    """Return (device, its name for people, banner code or None) for ``auto``, ``cuda``, ``mps`` or ``cpu``.

    ``auto`` may fall back to the CPU and says so with the banner; the others never do: ModelError(DEVICE_UNAVAILABLE).
    """
    if wanted == "cpu":
        return "cpu", "CPU", None
    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name(0), None
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return "mps", "Apple GPU", None
    if wanted == "auto":
        return "cpu", "CPU", "CPU_FALLBACK"
    raise ModelError("DEVICE_UNAVAILABLE", _reason(wanted), device=wanted)


def _reason(wanted: str) -> str:
    if wanted == "mps":
        return "mps was asked for, and this torch offers no Apple GPU"
    if torch.version.cuda is None:
        return f"cuda was asked for, and torch {torch.__version__} was built without CUDA"
    return "cuda was asked for, and no NVIDIA device or driver answers"


def device_memory(device: str) -> Memory:
    """Memory of the device in bytes; empty for the CPU."""
    if device == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        used, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
        # our own CUDA context counts as others': torch knows no size of it
        return Memory(used, reserved, free, total, max(0, total - free - reserved), _caps.get(device))
    if device == "mps":
        used, reserved = torch.mps.current_allocated_memory(), torch.mps.driver_allocated_memory()
        total = torch.mps.recommended_max_memory()
        return Memory(used, reserved, max(total - reserved, 0), total)
    return Memory()


def limit_memory(device: str, fraction: float) -> None:
    """Take at most this share (0..1) of a CUDA device's memory; beyond it torch says out of memory. Other devices have
    no such limit."""
    if not device.startswith("cuda") or fraction >= 1.0:
        return
    torch.cuda.set_per_process_memory_fraction(fraction, torch.device(device).index or 0)
    _caps[device] = int(torch.cuda.mem_get_info(device)[1] * fraction)


def frame_budget(device: str) -> int:
    """Encoder frames (60 ms) one batch may hold after padding.

    On a GPU from its free memory at 2 MiB per padded second, less a reserve. On a CPU a batch of 36 s: larger ones are
    no faster there and would hold up captions and cancelling.
    """
    if device != "cuda":
        return 600
    free, total = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    if device in _caps:
        total = _caps[device]
        free = min(free, max(0, total - reserved))
    spare = free + reserved - torch.cuda.memory_allocated(device) - max(1 << 30, total // 10)
    return min(60_000, max(1_000, int(spare / (2.0 * _MIB * 0.06))))


class Gauges:
    """Utilisation and temperature of the NVIDIA device through NVML; silent where NVML is not there."""

    def __init__(self, device: str) -> None:
        self._nvml: Any = None
        self._handle: Any = None
        if device != "cuda":
            return
        try:
            self._nvml = importlib.import_module("pynvml")
            self._nvml.nvmlInit()
            bus = torch.cuda.get_device_properties(0)
            uuid = f"GPU-{bus.uuid}" if hasattr(bus, "uuid") else None
            by_uuid = uuid and self._nvml.nvmlDeviceGetHandleByUUID(uuid)
            self._handle = by_uuid or self._nvml.nvmlDeviceGetHandleByIndex(0)
        except Exception:
            # figures for a page: an engine without them still recognises
            self._nvml = None

    def read(self) -> tuple[int | None, int | None]:
        """(utilisation in percent, temperature in °C)."""
        if self._nvml is None or self._handle is None:
            return None, None
        try:
            rates = self._nvml.nvmlDeviceGetUtilizationRates(self._handle)
            temperature = self._nvml.nvmlDeviceGetTemperature(self._handle, self._nvml.NVML_TEMPERATURE_GPU)
        except Exception:
            return None, None
        return int(rates.gpu), int(temperature)
