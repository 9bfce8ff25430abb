"""Files, batches and letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "correspondence_files",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False, index=True),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.String(20), nullable=False, index=True),
    )
    op.create_table(
        "correspondence_batches",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False, index=True),
        sa.Column("caller", sa.String(320), nullable=False),
        sa.Column("person", sa.Boolean(), nullable=False),
        sa.Column("wire", sa.String(20), nullable=False),
        sa.Column("state", sa.String(12), nullable=False, index=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("deadline", sa.String(20), nullable=False, index=True),
        sa.Column("erase_at", sa.String(20), nullable=False, index=True),
        *(sa.Column(name, sa.Text()) for name in ("started_at", "cancelled_at", "ended_at", "input_file")),
        sa.Column("metadata", sa.JSON()),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("results", sa.String(8)),
        sa.Column("link_sha256", sa.String(64), index=True),
        *(sa.Column(name, sa.Text()) for name in ("contact", "told_at")),
    )
    op.create_table(
        "correspondence_lines",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("custom_id", sa.Text(), nullable=False),
        sa.Column("resident", sa.String(64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("asked", "prompt_tokens", "completion_tokens")),
        sa.Column("error", sa.JSON()),
        sa.Column("at", sa.Text()),
    )
    columns = ["resident", "state", "number", "batch"]
    op.create_index("ix_correspondence_lines_waiting", "correspondence_lines", columns)


def downgrade() -> None:
    """Undo this step."""
    for table in ("correspondence_lines", "correspondence_batches", "correspondence_files"):
        op.drop_table(table)
