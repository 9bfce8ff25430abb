"""Words that callers leave for a model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "words",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("left_at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_table(
        "held_words",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("left_at", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("held_words")
    op.drop_table("words")
