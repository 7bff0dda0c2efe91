"""The hotwords wing: names that recognition would otherwise mishear, in lists, and what it mishears, in tables."""

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
from portal.services.hotwords.replacements import holds_pairs, replacement_snapshot, replacements_at

__all__ = [
    "HotwordListDetail",
    "HotwordListSummary",
    "Snapshot",
    "VersionChange",
    "check_words",
    "create",
    "delete",
    "holds_pairs",
    "list_for",
    "lists_for",
    "rename",
    "replacement_snapshot",
    "replacements_at",
    "roll_back",
    "save",
    "snapshot",
    "versions_of",
]
