"""The settings of engines: how those of this machine work, and where others are. Read as a part of ``Settings``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from portal.asr.engine.address import Credentials, parse_address
from portal.settings_lists import Numbers, Texts


class EngineSettings(BaseSettings):
    """See the module."""

    engine_device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    engine_profile: Literal["exact", "fast", "cpu-exact"] = "exact"
    engine_threads: int = Field(default=0, ge=0, le=256, description="CPU threads of the engine; 0: all cores")
    engine_allowed_uids: Numbers = ()
    engine_idle_unload_minutes: float = Field(default=0.0, ge=0, le=10_080, description="0: the models stay loaded")
    engine_nano_max_length: int = Field(default=512, ge=16, le=4_096, description="tokens per segment, Fun-ASR-Nano")
    engine_nano_batch: int = Field(default=8, ge=1, le=256, description="segments written at a time, Fun-ASR-Nano")
    engine_canary_minutes: float = Field(default=5.0, ge=0, le=1_440, description="idle self-check; 0: none")
    engine_cpu_rescue: bool = Field(default=True, description="what finds no memory on the device runs on the CPU")
    engine_max_recordings: int = Field(default=64, ge=1, le=1_000, description="open at once; then: busy")
    engine_max_queued_minutes: float = Field(default=240.0, ge=1, description="audio that may wait; then: busy")
    engine_memory_fraction: float = Field(default=1.0, ge=0.1, le=1.0, description="most of a CUDA device's memory")
    engine_local: bool = Field(default=True, description="start engines on this machine")
    engine_devices: Texts = Field(
        default=(), description="one engine each, such as cuda:0, cuda:1; empty: engine_device"
    )
    engine_listen: str | None = Field(default=None, description="tls://address:port where other hosts may call")
    engines: Texts = Field(default=(), description="further engines: tls://host:port or unix:/path")
    engine_tls_authority: Path | None = Field(default=None, description="authority that signed the other side")
    engine_tls_certificate: Path | None = None
    engine_tls_key: Path | None = None

    @field_validator("engine_devices", mode="after")
    @classmethod
    def _known_devices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not re.fullmatch(r"cpu|mps|cuda:\d{1,2}", text):
                raise ValueError(f"{text!r} is not cpu, mps or cuda:N")
        return value

    @model_validator(mode="after")
    def _engines_fit_together(self) -> Self:
        files = (self.engine_tls_authority, self.engine_tls_certificate, self.engine_tls_key)
        if any(files) and not all(files):
            raise ValueError("engine_tls_authority, engine_tls_certificate and engine_tls_key belong together")
        credentials = self.engine_credentials
        for text in (*self.engines, *((self.engine_listen,) if self.engine_listen else ())):
            parse_address(text, credentials)
        if self.engine_listen and not self.engine_listen.startswith("tls://"):
            raise ValueError("engine_listen: must be tls://address:port")
        if not self.engine_local and not self.engines:
            raise ValueError("engines must name one when engine_local is off")
        return self

    @property
    def engine_credentials(self) -> Credentials | None:
        """What this machine shows to engines (or callers) on other hosts; None: there are none."""
        if self.engine_tls_authority and self.engine_tls_certificate and self.engine_tls_key:
            return Credentials(self.engine_tls_authority, self.engine_tls_certificate, self.engine_tls_key)
        return None
