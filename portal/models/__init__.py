"""The tables, one small file per concept."""

from portal.models.audit_event import AuditEvent, AuditHead
from portal.models.department import Department
from portal.models.hotword_list import HotwordList, HotwordListVersion
from portal.models.outbox import OutboxMessage
from portal.models.policy_setting import PolicySetting
from portal.models.recording import Recording, Upload
from portal.models.replacement import COMPANY_TABLE, ReplacementPair, ReplacementTable, ReplacementVersion
from portal.models.transcript import Transcript, TranscriptSentence
from portal.models.transcription import TERMINAL, State, Transcription
from portal.models.user import AccountKind, LoginCounter, Role, SetupToken, User, UserSession

__all__ = [
    "COMPANY_TABLE",
    "TERMINAL",
    "AccountKind",
    "AuditEvent",
    "AuditHead",
    "Department",
    "HotwordList",
    "HotwordListVersion",
    "LoginCounter",
    "OutboxMessage",
    "PolicySetting",
    "Recording",
    "ReplacementPair",
    "ReplacementTable",
    "ReplacementVersion",
    "Role",
    "SetupToken",
    "State",
    "Transcript",
    "TranscriptSentence",
    "Transcription",
    "Upload",
    "User",
    "UserSession",
]
