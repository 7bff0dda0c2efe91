"""The names of audited acts. A name never changes its meaning; new acts get new names."""

from __future__ import annotations

import enum


class Action(enum.StrEnum):
    """What was done, as ``object.verb``."""

    SIGN_IN = "session.sign_in"
    SIGN_OUT = "session.sign_out"
    SESSION_REVOKE = "session.revoke"
    ACCESS_REFUSED = "access.refused"
    SETUP = "portal.setup"
    SETUP_TOKEN = "portal.setup_token"  # noqa: S105  (the name of an act)
    UPLOAD_START = "upload.start"
    UPLOAD_FINISH = "upload.finish"
    UPLOAD_REFUSE = "upload.refuse"
    UPLOAD_CANCEL = "upload.cancel"
    RECORDING_PLAY = "recording.play"
    RECORDING_DOWNLOAD = "recording.download"
    RECORDING_DELETE = "recording.delete"
    RECORDING_RENAME = "recording.rename"
    TRANSCRIPTION_START = "transcription.start"
    TRANSCRIPTION_RETRY = "transcription.retry"
    TRANSCRIPTION_CANCEL = "transcription.cancel"
    TRANSCRIPTION_FINISH = "transcription.finish"
    TRANSCRIPTION_DISCARD = "transcription.discard"
    TRANSCRIPTION_REQUEUE = "transcription.requeue"
    TRANSCRIPTION_PRIORITY = "transcription.priority"
    TRANSCRIPT_OPEN = "transcript.open"
    TRANSCRIPT_EXPORT = "transcript.export"
    TRANSCRIPT_SEARCH = "transcript.search"
    HOTWORDS_CREATE = "hotwords.create"
    HOTWORDS_EDIT = "hotwords.edit"
    HOTWORDS_RENAME = "hotwords.rename"
    HOTWORDS_DELETE = "hotwords.delete"
    REPLACEMENTS_EDIT = "replacements.edit"
    USER_CREATE = "user.create"
    USER_UPDATE = "user.update"
    USER_DISABLE = "user.disable"
    USER_ENABLE = "user.enable"
    USER_UNLOCK = "user.unlock"
    USER_PASSWORD = "user.password"  # noqa: S105  (the name of an act)
    DEPARTMENT_CREATE = "department.create"
    DEPARTMENT_UPDATE = "department.update"
    DEPARTMENT_DELETE = "department.delete"
    SETTING_CHANGE = "setting.change"
    ENGINE_CLEAR_CACHE = "engine.clear_cache"
    MODEL_ADD = "model.add"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORT = "audit.export"
    AUDIT_VERIFY = "audit.verify"
