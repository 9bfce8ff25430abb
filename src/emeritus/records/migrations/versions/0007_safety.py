"""Safety measurements: plans, sessions, and what was measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "safety_plans",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("plan_sha256", sa.Text(), nullable=False),
        sa.Column("scenarios_sha256", sa.Text(), nullable=False),
        sa.Column("grader", sa.Text()),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_table(
        "safety_sessions",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("plan", sa.String(100), sa.ForeignKey("safety_plans.id"), index=True, nullable=False),
        sa.Column("resident", sa.String(64), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("scenario", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("matched", sa.JSON(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("journal_sha256", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("build", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )
    op.create_table(
        "safety_measurements",
        sa.Column("plan", sa.String(100), sa.ForeignKey("safety_plans.id"), primary_key=True),
        sa.Column("resident", sa.String(64), index=True, nullable=False),
        sa.Column("measurement_sha256", sa.Text(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("act", sa.String(200), sa.ForeignKey("acts.id"), nullable=False),
    )


def downgrade() -> None:
    """Undo this step."""
    for table in ("safety_measurements", "safety_sessions", "safety_plans"):
        op.drop_table(table)
