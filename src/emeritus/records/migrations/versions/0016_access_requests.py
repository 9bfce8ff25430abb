"""Requests for access, and each step of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "access_requests",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("resident", sa.String(64), nullable=False, index=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("requests_per_day", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("who", "contact", "purpose")),
        sa.Column("link_sha256", sa.String(64), index=True),
        sa.Column("submitted_at", sa.Text(), nullable=False),
        sa.Column("due", sa.String(20)),
        *(sa.Column(name, sa.Text()) for name in ("decided_at", "code", "proposed_by")),
        sa.Column("declined_by", sa.JSON(), nullable=False),
        sa.Column("grant", sa.String(64)),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_index("ix_access_requests_state", "access_requests", ["state", "due"])
    op.create_table(
        "access_steps",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("request", sa.String(64), nullable=False, index=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text()),
        sa.Column("text", sa.Text()),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("access_steps")
    op.drop_table("access_requests")
