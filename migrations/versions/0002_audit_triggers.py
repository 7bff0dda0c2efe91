"""The audit log only grows: the database itself refuses to change or remove its rows.

The owner of the database can drop these triggers; ``portal audit verify`` then says that they are missing, and the
keyed chain shows what was done without them.
"""

from __future__ import annotations

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

SQLITE = {
    "audit_events_no_update": "BEFORE UPDATE ON audit_events BEGIN {refuse}; END",
    "audit_events_no_delete": "BEFORE DELETE ON audit_events BEGIN {refuse}; END",
    # INSERT OR REPLACE removes a row without firing delete triggers; only the next number may be added
    "audit_events_only_append": "BEFORE INSERT ON audit_events"
    " WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_events) BEGIN {refuse}; END",
    "audit_head_only_forward": "BEFORE UPDATE ON audit_head WHEN NEW.id <> OLD.id OR NEW.seq <> OLD.seq + 1"
    " BEGIN {refuse}; END",
    "audit_head_no_delete": "BEFORE DELETE ON audit_head BEGIN {refuse}; END",
}
REFUSE = "SELECT RAISE(ABORT, 'the audit log only grows')"

POSTGRESQL = (
    """
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log only grows' USING ERRCODE = 'insufficient_privilege'; END $$
    """,
    """
    CREATE FUNCTION audit_only_append() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        IF NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_events) THEN
            RAISE EXCEPTION 'the audit log only grows' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_events_only_append BEFORE INSERT ON audit_events"
    " FOR EACH ROW EXECUTE FUNCTION audit_only_append()",
    "CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_only_forward BEFORE UPDATE ON audit_head FOR EACH ROW"
    " WHEN (NEW.id <> OLD.id OR NEW.seq <> OLD.seq + 1) EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_head"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
)
POSTGRESQL_NAMES = {
    "audit_events": (
        "audit_events_no_update",
        "audit_events_no_delete",
        "audit_events_only_append",
        "audit_events_no_truncate",
    ),
    "audit_head": ("audit_head_only_forward", "audit_head_no_delete", "audit_head_no_truncate"),
}


def upgrade() -> None:
    """Add the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        for name, body in SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {body.format(refuse=REFUSE)}")
        return
    for statement in POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    """Remove the triggers; the rows stay."""
    if op.get_bind().dialect.name == "sqlite":
        for name in SQLITE:
            op.execute(f"DROP TRIGGER {name}")
        return
    for table, names in POSTGRESQL_NAMES.items():
        for name in names:
            op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute("DROP FUNCTION audit_refuse()")
    op.execute("DROP FUNCTION audit_only_append()")
