"""The engines as administrators see them: device, model, memory, work, and the models one may switch to.

Asking an engine is a conversation over a socket: none of it happens inside a database transaction. What is done to an
engine, and the log of it, lies in ``engine_acts``.
"""

from __future__ import annotations

from dataclasses import dataclass

from portal.asr.engine.address import EngineAddress
from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import EngineStatus
from portal.asr.engine.releases import Release, Releases
from portal.asr.errors import AsrError, ModelError
from portal.settings import Settings

MIB = 1024 * 1024
STATUS_TIMEOUT_S = 2.0
NO_GPU = frozenset({"cpu"})
_SHARES = 1000


@dataclass(frozen=True, slots=True)
class EngineView:
    """What is known about an engine right now; ``status`` is None while it does not answer. ``number`` counts from
    1."""

    status: EngineStatus | None
    error_code: str | None = None
    number: int = 1
    address: str = ""

    @property
    def has_gpu(self) -> bool:
        """Whether recognition runs on an accelerator."""
        return self.status is not None and self.status.device.partition(":")[0] not in NO_GPU

    @property
    def speed(self) -> float | None:
        """Seconds of audio recognised per second that the models were at work in the last hour, or since the start
        when the hour was quiet; None before the first recording."""
        status = self.status
        if status is None:
            return None
        for audio, busy in (
            (status.hour_audio_seconds, status.hour_busy_seconds),
            (status.audio_seconds_done, status.busy_seconds),
        ):
            if busy >= 1:
                return audio / busy
        return None

    @property
    def shares(self) -> tuple[int, int, int, int] | None:
        """Used, cached, others' and free memory of the device as thousandths of the whole, for the bar."""
        memory = self.status.memory if self.status else None
        if memory is None or not memory.total_bytes:
            return None
        total = memory.total_bytes
        used = min(memory.used_bytes or 0, total)
        reserved = min(max(memory.reserved_bytes or used, used), total)
        other = min(memory.other_bytes or 0, total - reserved)
        parts = [round(_SHARES * part / total) for part in (used, reserved - used, other)]
        return parts[0], parts[1], parts[2], max(0, _SHARES - sum(parts))

    @property
    def changing(self) -> bool:
        """Whether models are being loaded, checked or unloaded right now."""
        change = self.status.change if self.status else None
        return change is not None and change.ended is None


def client_of(settings: Settings, number: int = 1, *, timeout_s: float = STATUS_TIMEOUT_S) -> EngineClient:
    """A client for the engine with this number (from 1); an unknown number is the first."""
    return EngineClient(_address(settings, number), timeout_s=timeout_s)


def _address(settings: Settings, number: int) -> EngineAddress:
    addresses = settings.engine_addresses
    return addresses[number - 1] if 1 <= number <= len(addresses) else addresses[0]


def look(settings: Settings, number: int = 1) -> EngineView:
    """Ask an engine how it is; one that is away is an answer, not an error."""
    address = str(_address(settings, number))
    try:
        return EngineView(client_of(settings, number).status(), None, number, address)
    except AsrError as error:
        return EngineView(None, error.code, number, address)


def look_at_all(settings: Settings) -> list[EngineView]:
    """Every engine of this installation, in the order of the settings."""
    return [look(settings, number) for number in range(1, len(settings.engine_addresses) + 1)]


def history(settings: Settings, number: int = 1) -> list[list[float | int | None]]:
    """The figures of the last hour, oldest first, memory in MiB: (time, used, cached, others', free, utilisation in
    percent, temperature in °C, resident memory of the process); empty while the engine does not answer."""
    try:
        rows = client_of(settings, number).history()
    except AsrError:
        return []
    shown: list[list[float | int | None]] = []
    for at, used, reserved, other, free, utilisation, temperature, rss in rows:
        cached = None if used is None or reserved is None else max(0, reserved - used)
        memory = [_mib(value) for value in (used, cached, other, free)]
        shown.append([at, *memory, utilisation, temperature, _mib(rss)])
    return shown


def installed(settings: Settings) -> list[Release]:
    """The recognition models that may be switched to: registered, configured and shipped ones.

    A registry that can't be read gives none; the engine tells the reason when it is asked to use it.
    """
    try:
        return Releases(settings.asr_model, settings.installed_models_file).all()
    except ModelError:
        return []


def mib(count: int | None) -> int | None:
    """Bytes as whole MiB (1,048,576 bytes)."""
    return None if count is None else round(count / MIB)


def _mib(count: float | int | None) -> float | None:
    return None if count is None else round(count / MIB, 1)
