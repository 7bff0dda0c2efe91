"""What each office may do. One table; every route names one permission (see http.guards)."""

from __future__ import annotations

import enum

from portal.models.user import Role


class Permission(enum.StrEnum):
    """A right that a route or service asks for. Rights to single objects are checked when they are loaded."""

    PUBLIC = "public"  # before signing in
    SIGNED_IN = "signed_in"  # own account, sign out, language
    TRANSCRIBE = "transcribe"  # upload, own recordings, own transcripts
    USE_HOTWORDS = "use_hotwords"  # see the lists of one's department, edit the personal one
    ADMIN_PEOPLE = "admin_people"
    ADMIN_DEPARTMENTS = "admin_departments"
    ADMIN_HOTWORDS = "admin_hotwords"
    ADMIN_JOBS = "admin_jobs"
    ADMIN_ENGINE = "admin_engine"
    ADMIN_SETTINGS = "admin_settings"
    AUDIT_READ = "audit_read"
    AUDIT_EXPORT = "audit_export"


_EVERYBODY = frozenset({Permission.PUBLIC, Permission.SIGNED_IN})

GRANTS: dict[str, frozenset[Permission]] = {
    "anonymous": frozenset({Permission.PUBLIC}),
    Role.STAFF.value: _EVERYBODY | {Permission.TRANSCRIBE, Permission.USE_HOTWORDS},
    Role.ADMIN.value: _EVERYBODY
    | {
        Permission.ADMIN_PEOPLE,
        Permission.ADMIN_DEPARTMENTS,
        Permission.ADMIN_HOTWORDS,
        Permission.ADMIN_JOBS,
        Permission.ADMIN_ENGINE,
        Permission.ADMIN_SETTINGS,
    },
    Role.AUDITOR.value: _EVERYBODY | {Permission.AUDIT_READ, Permission.AUDIT_EXPORT},
}


def may(role: str, permission: Permission) -> bool:
    """Whether an office includes a right. An unknown role has none."""
    return permission in GRANTS.get(role, frozenset())
