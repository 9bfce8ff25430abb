"""By which issuer and subject accounts are known at a sign-in provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(500), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("person", sa.String(64), sa.ForeignKey("people.name"), nullable=False, index=True),
        sa.Column("linked_at", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("identities")
