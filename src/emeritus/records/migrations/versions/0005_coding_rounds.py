"""Coding rounds, the sheets of their coders, and how they were settled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "coding_rounds",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("sessions", sa.JSON(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("coders", sa.JSON(), nullable=False),
        sa.Column("recodes", sa.Text()),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_table(
        "coding_sheets",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("round", sa.String(80), sa.ForeignKey("coding_rounds.id"), index=True, nullable=False),
        sa.Column("session", sa.String(100), nullable=False),
        sa.Column("coder", sa.String(100), nullable=False),
        sa.Column("automated", sa.Boolean(), nullable=False),
        sa.Column("sheet", sa.JSON()),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
        sa.UniqueConstraint("round", "session", "coder"),
    )
    op.create_table(
        "coding_resolutions",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("round", sa.String(80), sa.ForeignKey("coding_rounds.id"), index=True, nullable=False),
        sa.Column("session", sa.String(100), nullable=False),
        sa.Column("sheet", sa.JSON(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("resolvers", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("agreement", sa.JSON()),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
        sa.UniqueConstraint("round", "session"),
    )
    op.create_table(
        "coding_drafts",
        sa.Column("round", sa.String(80), primary_key=True),
        sa.Column("session", sa.String(100), primary_key=True),
        sa.Column("what", sa.String(20), primary_key=True),
        sa.Column("person", sa.String(64), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    for table in ("coding_drafts", "coding_resolutions", "coding_sheets", "coding_rounds"):
        op.drop_table(table)
