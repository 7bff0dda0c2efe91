"""The audit wing: every act leaves a row, or does not happen."""

from portal.services.audit.actions import Action
from portal.services.audit.chain import Verification, verify
from portal.services.audit.checkpoints import read_checkpoints, write_checkpoint
from portal.services.audit.csv_export import begin_export, stream_csv
from portal.services.audit.key import load_audit_key
from portal.services.audit.log import record
from portal.services.audit.reading import AuditFilter, last_verification, one_event, page
from portal.services.audit.verifying import may_verify, record_verification

__all__ = [
    "Action",
    "AuditFilter",
    "Verification",
    "begin_export",
    "last_verification",
    "load_audit_key",
    "may_verify",
    "one_event",
    "page",
    "read_checkpoints",
    "record",
    "record_verification",
    "stream_csv",
    "verify",
    "write_checkpoint",
]
