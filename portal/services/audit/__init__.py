"""The audit wing: every act leaves a row, or does not happen."""

from portal.services.audit.actions import Action
from portal.services.audit.key import load_audit_key
from portal.services.audit.log import record

__all__ = ["Action", "load_audit_key", "record"]
