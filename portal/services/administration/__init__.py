"""The administration wing: people, departments, policy, the engine and the state of the whole."""

from portal.services.administration.policies import (
    effective_recording_max_hours,
    effective_upload_max_bytes,
    get_policy,
)

__all__ = ["effective_recording_max_hours", "effective_upload_max_bytes", "get_policy"]
