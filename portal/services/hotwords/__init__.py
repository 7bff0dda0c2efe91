"""The hotwords wing: names that recognition would otherwise mishear, kept in lists with versions."""

from portal.services.hotwords.editing import create, delete, rename, roll_back, save
from portal.services.hotwords.history import VersionChange, versions_of
from portal.services.hotwords.lists import (
    HotwordListDetail,
    HotwordListSummary,
    Snapshot,
    check_words,
    list_for,
    lists_for,
    snapshot,
)

__all__ = [
    "HotwordListDetail",
    "HotwordListSummary",
    "Snapshot",
    "VersionChange",
    "check_words",
    "create",
    "delete",
    "list_for",
    "lists_for",
    "rename",
    "roll_back",
    "save",
    "snapshot",
    "versions_of",
]
