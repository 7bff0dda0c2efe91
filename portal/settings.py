"""Process settings: one typed, frozen object, read once at start.

Order of precedence: environment (``PORTAL_NAME``), then ``<instance>/portal.toml``, then the defaults below. An
unknown or malformed value stops the start with a sentence that names the setting. Policy that an administrator
changes while the portal runs (limits, retention, defaults) does not live here but in ``models.policy_setting``.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from portal.asr.engine.address import EngineAddress, parse_address
from portal.settings_engines import EngineSettings
from portal.settings_lists import Texts

INSTANCE_DIR = Path(__file__).parent.parent / "instance"
MODELS_DIR = Path(__file__).parent / "asr" / "models"
PREFIX = "PORTAL_"
SHELL_ONLY = frozenset({"PORTAL_TORCH_INDEX", "PORTAL_TORCH_WHEELS", "PORTAL_TORCH_ANY", "PORTAL_INSTANCE"})
"""Names with our prefix that belong to ``portal.sh`` and not to the running portal."""


class SettingsError(Exception):
    """A setting is unknown, malformed or contradicts another; the message names it and says what to do."""


class Settings(EngineSettings):
    """Everything a process of the portal must know before it starts. Sizes in bytes, times in seconds unless named."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", case_sensitive=False, env_nested_delimiter="__"
    )

    # where things live
    instance: Path = Field(default=INSTANCE_DIR, description="folder of database, recordings, sockets, secrets")
    database_url: str | None = Field(default=None, description="postgresql://… ; unset: SQLite in the instance folder")
    redis_url: str | None = Field(default=None, description="unix://… or redis://… ; unset: embedded Redis")
    socket_dir: Path | None = Field(default=None, description="folder of Unix sockets; unset: <instance>/run")
    secret_key_file: Path | None = Field(default=None, description="unset: <instance>/secret_key, made at first start")

    # the models of the engines on this machine; the other settings of engines: see ``EngineSettings``
    asr_model: Path = MODELS_DIR / "seaco"
    vad_model: Path = MODELS_DIR / "vad"
    punc_model: Path = MODELS_DIR / "punc"
    speaker_model: Path | None = Field(default=None, description="CAM++; unset: nobody is told apart")

    # web
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    web_processes: int = Field(default=2, ge=1, le=64)
    web_threads: int = Field(default=16, ge=1, le=256)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_own_ca: bool = False
    tls_names: Texts = ()
    trusted_proxies: int = Field(default=0, ge=0, le=5, description="exact number of TLS gateways in front")
    admin_networks: Texts = Field(default=(), description="CIDR list; empty: admin pages from anywhere")

    # work
    workers: int = Field(default=2, ge=1, le=64)
    lease_seconds: int = Field(default=30, ge=5, le=600)
    reconcile_seconds: float = Field(default=5.0, gt=0, le=300)

    # limits
    upload_max_bytes: int = Field(default=2 * 1024**3, ge=1)
    upload_chunk_bytes: int = Field(default=8 * 1024**2, ge=64 * 1024, le=64 * 1024**2)
    upload_expire_hours: int = Field(default=72, ge=1)
    recording_max_hours: float = Field(default=12.0, gt=0, le=24)
    decode_cpu_base_seconds: int = Field(default=30, ge=1)
    decode_cpu_seconds_per_hour: int = Field(default=60, ge=1)
    decode_memory_bytes: int = Field(default=1024**3, ge=64 * 1024**2)
    hotwords_per_job: int = Field(default=200, ge=1, le=10_000)
    hotword_max_length: int = Field(default=16, ge=1, le=16)
    replacements_per_table: int = Field(default=1000, ge=1, le=1000, description="two tables may serve one recording")
    replacement_max_length: int = Field(default=16, ge=2, le=64)

    # signing in
    session_idle_minutes: int = Field(default=30, ge=1)
    session_idle_minutes_office: int = Field(default=15, ge=1, description="administrators and auditors")
    session_absolute_hours: int = Field(default=12, ge=1)
    session_absolute_hours_office: int = Field(default=8, ge=1)
    sessions_per_person: int = Field(default=3, ge=1)
    lockout_failures: int = Field(default=5, ge=1)
    lockout_window_minutes: int = Field(default=15, ge=1)
    lockout_minutes: int = Field(default=15, ge=1)
    lockout_failures_per_source: int = Field(default=50, ge=1, description="per /24 (IPv4) or /64 (IPv6) and window")
    password_min_length: int = Field(default=15, ge=8)

    # directory
    ldap_urls: Texts = Field(default=(), description="ldaps://… or ldap://… with StartTLS, tried in order")
    ldap_ca_file: Path | None = None
    ldap_plain_text_i_know_the_risk: bool = False
    ldap_valid_names: Texts = ()
    ldap_bind_dn: str = ""
    ldap_bind_password: str = Field(default="", repr=False)
    ldap_bind_password_file: Path | None = None
    ldap_base_dn: str = ""
    ldap_user_filter: str = "(&(objectClass=inetOrgPerson)(uid={login}))"
    ldap_guid_attribute: str = "entryUUID"
    ldap_login_attribute: str = "uid"
    ldap_name_attribute: str = "displayName"
    ldap_mail_attribute: str = "mail"
    ldap_department_attribute: str = "departmentNumber"
    ldap_connect_seconds: float = Field(default=2.0, gt=0, le=30)
    ldap_receive_seconds: float = Field(default=3.0, gt=0, le=60)
    ldap_dead_seconds: float = Field(default=30.0, ge=0)
    ldap_recheck_minutes: float = Field(default=5.0, gt=0)

    language: Literal["zh_CN", "en"] = "zh_CN"
    timezone: str = "Asia/Shanghai"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Explicit values, then the environment, then ``portal.toml``."""
        instance = Path(os.environ.get("PORTAL_INSTANCE", INSTANCE_DIR))
        file = TomlConfigSettingsSource(settings_cls, toml_file=instance / "portal.toml")
        return init_settings, env_settings, file

    @field_validator("instance", "asr_model", "vad_model", "punc_model", "speaker_model", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # FunASR resolves aliases such as "fsmn-vad" before it looks at the disk; only absolute paths are safe
        return None if value is None else value.expanduser().absolute()

    @field_validator("database_url", mode="after")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgresql+psycopg://", "sqlite:///")):
            raise ValueError("must start with postgresql:// or sqlite:///")
        return value

    @field_validator("admin_networks", mode="after")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(f"{text!r} is not a network such as 10.1.2.0/24") from None
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; set both or none")
        for url in self.ldap_urls:
            if not url.startswith(("ldap://", "ldaps://")):
                raise ValueError(f"ldap_urls: {url!r} must start with ldaps:// or ldap://")
        if self.ldap_urls and not self.ldap_base_dn:
            raise ValueError("ldap_base_dn is needed when ldap_urls is set")
        if self.ldap_urls and "{login}" not in self.ldap_user_filter:
            raise ValueError("ldap_user_filter must contain {login}")
        return self

    # derived places -----------------------------------------------------------------------------------------------
    @property
    def run_dir(self) -> Path:
        """Folder of the Unix sockets."""
        return self.socket_dir or self.instance / "run"

    @property
    def engine_socket(self) -> Path:
        """Unix socket of the engine of this machine, the first when there are several."""
        return self.run_dir / "engine.sock"

    @property
    def local_engine_sockets(self) -> tuple[Path, ...]:
        """Unix sockets of the engines that are started on this machine, in the order of ``engine_devices``."""
        if not self.engine_local:
            return ()
        more = (self.run_dir / f"engine-{number}.sock" for number in range(2, len(self.engine_devices) + 1))
        return (self.engine_socket, *more)

    @property
    def engine_addresses(self) -> tuple[EngineAddress, ...]:
        """Every engine this installation may use, its own first."""
        own = tuple(EngineAddress(path=path) for path in self.local_engine_sockets)
        return own + tuple(parse_address(text, self.engine_credentials) for text in self.engines)

    @property
    def redis_socket(self) -> Path:
        """Unix socket of the embedded Redis."""
        return self.run_dir / "redis.sock"

    @property
    def effective_redis_url(self) -> str:
        """The Redis that RQ uses."""
        return self.redis_url or f"unix://{self.redis_socket}?db=0"

    @property
    def effective_database_url(self) -> str:
        """SQLAlchemy's address of the SQL database."""
        if self.database_url is None:
            return f"sqlite:///{self.instance / 'portal.sqlite3'}"
        if self.database_url.startswith("postgresql://"):
            return "postgresql+psycopg://" + self.database_url.removeprefix("postgresql://")
        return self.database_url

    @property
    def store_dir(self) -> Path:
        """Root of the file store."""
        return self.instance / "recordings"

    @property
    def graphs_dir(self) -> Path:
        """Prepared ONNX graphs of the engine; may be deleted at any time."""
        return self.instance / "graphs"

    @property
    def installed_models_file(self) -> Path:
        """Manifests of model directories that an administrator confirmed."""
        return self.instance / "models" / "installed.json"

    def current_model_file(self, socket: Path) -> Path:
        """Where the engine on this socket remembers a switch of models over restarts."""
        return self.instance / "models" / f"current.{socket.stem}.json"

    @property
    def secure_cookies(self) -> bool:
        """Whether people reach the portal over HTTPS (own certificate or a TLS gateway)."""
        return bool(self.tls_certificate or self.tls_own_ca or self.trusted_proxies)

    def read_secret_key(self) -> bytes:
        """The key that signs CSRF tokens; made with mode 0600 at the first start (32 random bytes)."""
        path = self.secret_key_file or self.instance / "secret_key"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(fd, "wb") as file:
            key = secrets.token_bytes(32)
            file.write(key)
        return key

    def ldap_password(self) -> str:
        """The bind password, from its file when one is named."""
        if self.ldap_bind_password_file is not None:
            return self.ldap_bind_password_file.read_text(encoding="utf-8").strip()
        return self.ldap_bind_password


def _refuse_unknown_environment() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | SHELL_ONLY
    for name in os.environ:
        if name.startswith(PREFIX) and name.upper() not in known and not name.startswith("PORTAL_TEST_"):
            raise SettingsError(f"{name}: no such setting. Remove it, or see docs/settings.md for the names.")


def load_settings(**overrides: Any) -> Settings:
    """Read the settings once.

    Raises:
        SettingsError: names the setting and what is wrong with it.
    """
    _refuse_unknown_environment()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        hint = "no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise SettingsError(f"{name}: {hint}. See docs/settings.md.") from None
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise SettingsError(f"portal.toml: {error}") from None
    except Exception as error:
        # pydantic-settings wraps a malformed JSON value of one variable in its own error type
        raise SettingsError(str(error)) from None
