"""What a person chose last time: kept with the person, offered again on the next visit."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from portal.asr.types import VadOptions
from portal.errors import PortalError
from portal.models import User
from portal.services.administration import get_policy
from portal.services.hotwords.lists import HotwordListSummary, lists_for
from portal.services.identity.actor import Actor
from portal.services.recordings.options import VadChoice, parse_options

CHANNELS = ("mix", "split")
REMEMBERED = ("vad", "language", "speakers", "speaker_count", "hotword_strength")
_DISMISSED_KEPT = 100


@dataclass(frozen=True, slots=True)
class OfferedList:
    """A hotword list and whether it will be used."""

    summary: HotwordListSummary
    chosen: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """The options of the next upload. That only times are wanted is never remembered: the next meeting needs a text."""

    itn: bool
    channels: str
    vad: VadChoice
    language: str
    speakers: bool
    speaker_count: int | None
    hotword_strength: str
    lists: tuple[OfferedList, ...]

    @property
    def own_vad(self) -> VadOptions:
        """The numbers that stand in the form for one's own way of cutting."""
        return self.vad.numbers()


def choices_for(session: Session, actor: Actor, user: User) -> Choices:
    """The last choices, or those an administrator set for everybody.

    A list nobody decided about yet is chosen when it belongs to the person's department.
    """
    kept: dict[str, Any] = user.preferences or {}
    taken, left = set(kept.get("lists_on", ())), set(kept.get("lists_off", ()))
    offered = tuple(
        OfferedList(item, str(item.id) in taken or (item.preselected and str(item.id) not in left))
        for item in lists_for(session, actor)
    )
    itn, channels, count = kept.get("itn"), kept.get("channels"), kept.get("speaker_count")
    return Choices(
        itn if isinstance(itn, bool) else get_policy(session, "default_itn"),
        channels if channels in CHANNELS else get_policy(session, "default_channels"),
        _kept_vad(kept) or VadChoice(preset=get_policy(session, "default_vad_preset")),
        str(kept.get("language") or "auto"),
        kept.get("speakers") is True,
        count if isinstance(count, int) else None,
        str(kept.get("hotword_strength") or "normal"),
        offered,
    )


def _kept_vad(kept: dict[str, Any]) -> VadChoice | None:
    try:
        return parse_options({"vad": kept["vad"]}).vad if "vad" in kept else None
    except PortalError:  # written by a version with other limits
        return None


def remember(
    session: Session,
    actor: Actor,
    user: User,
    *,
    itn: bool,
    channels: str,
    lists: Collection[uuid.UUID],
    others: Mapping[str, object] | None = None,
) -> None:
    """Keep the choices for the next visit. Ids of lists that are not this person's are forgotten.

    Args:
        others: any of ``REMEMBERED`` as the upload takes them; one that is missing stays as it was, so a model that
            does not offer a choice for a week does not make people choose again.

    Raises:
        PortalError: INVALID_VALUE or UNKNOWN_FIELD for what the upload would refuse.
    """
    if channels not in CHANNELS:
        raise PortalError("INVALID_VALUE", field="channels")
    chosen = parse_options({name: value for name, value in (others or {}).items() if name in REMEMBERED})
    newly = chosen.model_dump(mode="json", include=set(others or {}) & set(REMEMBERED))
    visible = [item.id for item in lists_for(session, actor)]
    user.preferences = {
        **(user.preferences or {}),
        "itn": itn,
        "channels": channels,
        **newly,
        "lists_on": [str(item) for item in visible if item in lists],
        "lists_off": [str(item) for item in visible if item not in lists],
    }


def dismissed(user: User) -> frozenset[str]:
    """Ids of failed items that the person has put away from the workspace."""
    return frozenset((user.preferences or {}).get("dismissed", ()))


def dismiss(user: User, item_id: uuid.UUID) -> None:
    """Put a failed item away from the workspace; it stays in the history."""
    kept = [known for known in (user.preferences or {}).get("dismissed", ()) if known != str(item_id)]
    user.preferences = {**(user.preferences or {}), "dismissed": [*kept, str(item_id)][-_DISMISSED_KEPT:]}
