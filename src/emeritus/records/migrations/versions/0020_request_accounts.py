"""Requests for access that were made by someone signed in belong to their account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("access_requests", sa.Column("account", sa.String(64), nullable=True))
    op.create_index("ix_access_requests_account", "access_requests", ["account"])


def downgrade() -> None:
    """Undo this step."""
    op.drop_index("ix_access_requests_account", "access_requests")
    op.drop_column("access_requests", "account")
