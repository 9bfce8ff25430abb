"""Calibrations of drills, and the revival certificates they led to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "calibrations",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("build_digest", sa.Text(), nullable=False),
        sa.Column("build_digests", sa.JSON(), nullable=False),
        sa.Column("weights_digest", sa.Text()),
        sa.Column("probes_sha256", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("false_alarm_rate", sa.Float(), nullable=False),
        sa.Column("payload_sha256", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("payload_sha256", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("certificates")
    op.drop_table("calibrations")
