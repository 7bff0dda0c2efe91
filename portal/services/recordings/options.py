"""What a person may choose when handing over a recording: an explicit schema; anything else is refused by name."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from portal.errors import PortalError
from portal.services.hotwords.lists import snapshot
from portal.services.identity.actor import Actor
from portal.settings import Settings


class UploadOptions(BaseModel):
    """The choices. ``hotwords`` is free text: words separated by spaces, commas or lines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    itn: bool = Field(default=True, strict=True)
    channels: Literal["mix", "split"] = "mix"
    hotword_lists: tuple[uuid.UUID, ...] = Field(default=(), max_length=50)
    hotwords: str = Field(default="", max_length=20_000)


def parse_options(values: object) -> UploadOptions:
    """Check the choices.

    Raises:
        PortalError: UNKNOWN_FIELD or INVALID_VALUE, with the field's name.
    """
    try:
        return UploadOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "options"
        code = "UNKNOWN_FIELD" if first["type"] == "extra_forbidden" else "INVALID_VALUE"
        raise PortalError(code, field=field[:64]) from None


def snapshot_options(session: Session, actor: Actor, options: UploadOptions, settings: Settings) -> dict[str, Any]:
    """The choices as they are kept with an upload, hotwords already looked up and cleaned.

    Taken when the upload begins, so a word that can't be used is refused before 2 GB were sent, and lists that change
    meanwhile don't change what the person saw.

    Raises:
        PortalError: HOTWORD_REFUSED, HOTWORDS_TOO_MANY; NotFound for a list of strangers.
    """
    words: list[str] = []
    versions: list[Any] = []
    if options.hotword_lists or options.hotwords.strip():
        found = snapshot(
            session,
            actor,
            options.hotword_lists,
            options.hotwords,
            max_words=settings.hotwords_per_job,
            max_length=settings.hotword_max_length,
        )
        words, versions = list(found.words), list(found.versions)
    return {"itn": options.itn, "channels": options.channels, "hotwords": words, "hotword_versions": versions}
