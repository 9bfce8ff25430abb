"""Limits of grants and keys that hold across processes, plans and who belongs to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_MORE: tuple[tuple[str, Any], ...] = (
    ("requests_per_minute", sa.Integer),
    ("tokens_per_day", sa.BigInteger),
    ("tokens_per_month", sa.BigInteger),
)


def upgrade() -> None:
    """Apply this step."""
    for name, kind in (*_MORE, ("renewals", sa.Integer)):
        op.add_column("grants", sa.Column(name, kind()))
    for name, kind in (*_MORE, ("requests_per_day", sa.Integer), ("scopes", sa.Text), ("expires", sa.Text)):
        op.add_column("api_keys", sa.Column(name, kind()))
    op.add_column("api_keys", sa.Column("residents", sa.JSON()))
    op.create_table(
        "plans",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("residents", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *(sa.Column(name, kind()) for name, kind in _MORE),
        sa.Column("requests_per_day", sa.Integer()),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_table(
        "plan_members",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("who", sa.String(320), nullable=False, index=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("until", sa.Text()),
        sa.Column("ended_at", sa.Text()),
        sa.UniqueConstraint("plan", "who"),
    )
    op.create_table(
        "budgets",
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("window", sa.String(16), primary_key=True),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "access_version",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    for table in ("access_version", "budgets", "plan_members", "plans"):
        op.drop_table(table)
    op.drop_column("api_keys", "residents")
    for name in ("expires", "scopes", "requests_per_day", *(name for name, _ in _MORE)):
        op.drop_column("api_keys", name)
    for name in ("renewals", *(name for name, _ in _MORE)):
        op.drop_column("grants", name)
