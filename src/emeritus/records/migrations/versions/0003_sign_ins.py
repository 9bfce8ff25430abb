"""Who is signed in, and when a set-up link expires."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("people", sa.Column("setup_expires", sa.Text()))
    op.create_table(
        "sign_ins",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(64), sa.ForeignKey("people.name"), index=True, nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("sign_ins")
    op.drop_column("people", "setup_expires")
