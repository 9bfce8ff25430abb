"""The course of a preference: what was elicited, attached conditions, publication, review, reopening and appeals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("protocols", sa.Column("items", sa.JSON()))
    op.add_column("preferences", sa.Column("attached", sa.JSON()))
    op.create_table(
        "elicited",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("protocol_sha256", sa.String(64), nullable=False),
        sa.Column("item", sa.String(100), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
        sa.UniqueConstraint("resident", "protocol_sha256", "item"),
    )
    op.create_table(
        "preference_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("preference", sa.String(100), sa.ForeignKey("preferences.id"), index=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("automated", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("preference_events")
    op.drop_table("elicited")
    op.drop_column("preferences", "attached")
    op.drop_column("protocols", "items")
