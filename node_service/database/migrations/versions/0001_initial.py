"""Initial schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None


def upgrade() -> None:  # noqa: PLR0915 - one statement per table
    """Apply."""
    op.create_table(
        "access_row",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=True),
        sa.Column("access", sa.String(length=26), nullable=True),
        sa.Column("reader", sa.LargeBinary(), nullable=True),
        sa.Column("incarnation", sa.Integer(), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_access_row_access",
        "access_row",
        ["access"],
        unique=False,
        sqlite_where=sa.text("access IS NOT NULL"),
        postgresql_where=sa.text("access IS NOT NULL"),
    )
    op.create_index("ix_access_row_log", "access_row", ["incarnation", "log_index"], unique=False)
    op.create_index("ix_access_row_patient", "access_row", ["patient"], unique=False)
    op.create_table(
        "access_token",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("key_thumbprint", sa.String(length=64), nullable=True),
        sa.Column("expires_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index(op.f("ix_access_token_expires_at"), "access_token", ["expires_at"], unique=False)
    op.create_table(
        "alarm",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=256), nullable=False),
        sa.Column("raised_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "anchored_head",
        sa.Column("msp_id", sa.String(length=64), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("log", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("tx_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("msp_id", "incarnation", "log", "size"),
    )
    op.create_table(
        "block_header",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("header_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("validity", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "bundle_skeleton",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("source_token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=26), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("wrap", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("object_id"),
        sa.UniqueConstraint("source_token"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.Column("header_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "emergency_admission",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("requester", sa.String(length=64), nullable=False),
        sa.Column("practitioner", sa.String(length=26), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=20), nullable=False),
        sa.Column("decided_by", sa.String(length=26), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_emergency_admission_practitioner", "emergency_admission", ["requester", "practitioner", "at"], unique=False
    )
    op.create_table(
        "emergency_review",
        sa.Column("emergency", sa.String(length=26), nullable=False),
        sa.Column("reviewer", sa.String(length=26), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("reviewed_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("emergency"),
    )
    op.create_table(
        "held_consent",
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("custodian", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.Column("local_patient", sa.String(length=26), nullable=True),
        sa.Column("confirmed_by", sa.String(length=26), nullable=True),
        sa.Column("confirmed_at", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("patient", "id", "role"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("principal", sa.String(length=96), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("record", sa.String(length=26), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key"),
    )
    op.create_table(
        "ledger_state",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("tx_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "ledger_transaction",
        sa.Column("tx_id", sa.String(length=64), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("creator", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("arguments", sa.LargeBinary(), nullable=False),
        sa.Column("submitted_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tx_id"),
    )
    op.create_index("ix_ledger_transaction_block", "ledger_transaction", ["block", "position"], unique=False)
    op.create_table(
        "log_node",
        sa.Column("log", sa.String(length=64), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("log", "incarnation", "level", "position"),
    )
    op.create_table(
        "log_size",
        sa.Column("log", sa.String(length=64), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "incarnation"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("references", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("read_at", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_notice_recipient"), "notice", ["recipient"], unique=False)
    op.create_table(
        "opened_access",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("grant", sa.String(length=26), nullable=True),
        sa.Column("custodian", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("practitioner", sa.String(length=26), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("tx_id", sa.String(length=64), nullable=True),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("opened_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "outgoing_request",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("custodian", sa.String(length=64), nullable=False),
        sa.Column("practitioner", sa.String(length=26), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "pending_transaction",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("arguments", sa.LargeBinary(), nullable=False),
        sa.Column("tx_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_pending_transaction_tx_id"), "pending_transaction", ["tx_id"], unique=False)
    op.create_table(
        "person",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("enrolled_at", sa.String(length=20), nullable=True),
        sa.Column("key_epoch", sa.Integer(), nullable=False),
        sa.Column("demographics", sa.LargeBinary(), nullable=False),
        sa.Column("locator", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "quality_finding",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("record", sa.String(length=26), nullable=True),
        sa.Column("place", sa.String(length=512), nullable=False),
        sa.Column("found_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_quality_finding_run"), "quality_finding", ["run"], unique=False)
    op.create_table(
        "record_token",
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_index(op.f("ix_record_token_record"), "record_token", ["record"], unique=False)
    op.create_table(
        "staff",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("display_name", sa.LargeBinary(), nullable=False),
        sa.Column("department", sa.LargeBinary(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("username"),
    )
    op.create_table(
        "used_nonce",
        sa.Column("scope", sa.String(length=96), nullable=False),
        sa.Column("value", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("scope", "value"),
    )
    op.create_index(op.f("ix_used_nonce_expires_at"), "used_nonce", ["expires_at"], unique=False)
    op.create_table(
        "enrolment_code",
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("issued_by", sa.String(length=26), nullable=False),
        sa.Column("expires_at", sa.String(length=20), nullable=False),
        sa.Column("used_at", sa.String(length=20), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("code_hash"),
    )
    op.create_table(
        "incoming_request",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("requester", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_incoming_request_patient"), "incoming_request", ["patient"], unique=False)
    op.create_table(
        "patient_key",
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("key_epoch", sa.Integer(), nullable=False),
        sa.Column("signing", sa.String(length=64), nullable=False),
        sa.Column("wrap", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("since", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("patient", "key_epoch"),
    )
    op.create_table(
        "person_token",
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("identifier_type", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["patient"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("token", "patient"),
    )
    op.create_index("ix_person_token_patient", "person_token", ["patient"], unique=False)
    op.create_table(
        "record",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=True),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=128), nullable=False),
        sa.Column("source_token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("external_author", sa.String(length=64), nullable=True),
        sa.Column("derived_from", sa.String(length=26), nullable=True),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["derived_from"],
            ["record.id"],
        ),
        sa.ForeignKeyConstraint(
            ["patient"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source_token"),
    )
    op.create_index(op.f("ix_record_derived_from"), "record", ["derived_from"], unique=False)
    op.create_index("ix_record_kind", "record", ["kind"], unique=False)
    op.create_index("ix_record_patient", "record", ["patient", "resource_type"], unique=False)
    op.create_table(
        "member",
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("member_token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=26), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("content_token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("wrap", sa.LargeBinary(), nullable=False),
        sa.Column("manifest_version", sa.Integer(), nullable=True),
        sa.Column("upload", sa.String(length=64), nullable=False),
        sa.Column("attributes", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["record"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("record", "member_token"),
        sa.UniqueConstraint("object_id"),
    )
    op.create_index("ix_member_digest", "member", ["digest"], unique=False)
    op.create_index(op.f("ix_member_upload"), "member", ["upload"], unique=False)
    op.create_table(
        "record_version",
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.String(length=26), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("content_token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("clinical_start", sa.String(length=32), nullable=True),
        sa.Column("clinical_end", sa.String(length=32), nullable=True),
        sa.Column("stored_at", sa.String(length=20), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.Column("undo", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["record"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("record", "version"),
        sa.UniqueConstraint("object_id"),
    )
    op.create_index("ix_record_version_content", "record_version", ["content_token"], unique=False)
    op.create_index("ix_record_version_digest", "record_version", ["digest"], unique=False)
    op.create_index("ix_record_version_log", "record_version", ["incarnation", "log_index"], unique=False)
    op.create_table(
        "witness_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signers", sa.JSON(), nullable=False),
        sa.Column("witnessed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "witness_evidence",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("found_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "wrap",
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("wrap", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("record", "version", "recipient", "key_id"),
    )
    op.create_table(
        "bundle_entry",
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("bundle", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("record", "bundle"),
    )
    op.create_index(op.f("ix_bundle_entry_bundle"), "bundle_entry", ["bundle"], unique=False)
    op.create_table(
        "received_notice",
        sa.Column("custodian", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("custodian", "id"),
    )
    op.create_table(
        "release_notice",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("msp_id", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("answer", sa.String(length=64), nullable=True),
        sa.Column("answered_at", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("record", "msp_id", "event", "version"),
    )
    op.create_index(op.f("ix_release_notice_answer"), "release_notice", ["answer"], unique=False)
    op.create_table(
        "erasure_case",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=26), nullable=False),
        sa.Column("records_digest", sa.String(length=64), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("decided_by", sa.String(length=26), nullable=True),
        sa.Column("decided_at", sa.String(length=20), nullable=True),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("certificate_signature", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["patient"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_erasure_case_is_open"), "erasure_case", ["is_open"], unique=False)
    op.create_index(op.f("ix_erasure_case_patient"), "erasure_case", ["patient"], unique=False)
    op.create_table(
        "erasure_item",
        sa.Column("case", sa.String(length=26), nullable=False),
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("until", sa.String(length=20), nullable=True),
        sa.Column("rule", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["case"],
            ["erasure_case.id"],
        ),
        sa.ForeignKeyConstraint(
            ["record"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("case", "record"),
    )
    op.create_index("ix_erasure_item_record", "erasure_item", ["record"], unique=False)
    op.create_index("ix_erasure_item_due", "erasure_item", ["state", "until"], unique=False)
    op.create_table(
        "removal",
        sa.Column("record", sa.String(length=26), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("ordered_by", sa.String(length=26), nullable=True),
        sa.Column("ordered_at", sa.String(length=20), nullable=False),
        sa.Column("tx_id", sa.String(length=64), nullable=True),
        sa.Column("forgotten_at", sa.String(length=20), nullable=True),
        sa.Column("final_by", sa.String(length=20), nullable=True),
        sa.Column("final_at", sa.String(length=20), nullable=True),
        sa.Column("done_at", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(
            ["record"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_index(op.f("ix_removal_state"), "removal", ["state"], unique=False)
    op.create_table(
        "scrub_pass",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("after", sa.String(length=64), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("leaves", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.String(length=20), nullable=False),
        sa.Column("finished_at", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "damaged_object",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("row", sa.String(length=64), nullable=False),
        sa.Column("found_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
